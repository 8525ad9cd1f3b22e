// The table of connections. Only the visible rows exist as elements.

/** The height of a row at the normal text size, in pixels; page.css has the same value. */
const ROW_HEIGHT_REM = 2.75;

/** How many rows exist above and below the visible ones. */
const SPARE_ROWS = 8;

/**
 * A column: its sort key, and the class that hides it on small screens.
 * @typedef {object} Column
 * @property {PlainName} name
 * @property {string} style
 * @property {((one: Connection) => number | string) | null} order
 */

/** @type {Column[]} */
const COLUMNS = [
  { name: "number", style: "figure narrow-off", order: (one) => one.id },
  { name: "service", style: "narrow-off", order: (one) => one.service },
  { name: "peer", style: "", order: (one) => `${one.peer.host} ${one.peer.port ?? ""}` },
  { name: "local", style: "narrow-off", order: (one) => `${one.local.host} ${one.local.port ?? ""}` },
  { name: "age", style: "figure widest", order: (one) => -one.opened },
  { name: "bytesIn", style: "figure wide", order: (one) => one.bytesIn },
  { name: "bytesOut", style: "figure wide", order: (one) => one.bytesOut },
  { name: "state", style: "widest", order: (one) => (one.closed === null ? "" : String(one.reason)) },
  { name: "actions", style: "act", order: null },
];

/**
 * The filter for connections.
 * @typedef {{service: string, peer: string, state: string}} Filter
 */

/**
 * Return whether a filter selects a connection.
 * @param {Connection} one
 * @param {Filter} filter
 */
function isWanted(one, filter) {
  const wanted = filter.peer.trim();
  return (filter.service === "" || one.service === filter.service) &&
    (wanted === "" || addressText(one.peer).includes(wanted) || one.peer.host.includes(wanted));
}

/**
 * Return the selected connections, in order.
 * @param {Model} model
 * @param {Filter} filter
 * @param {Column} column
 * @param {boolean} isDescending
 */
function chosenConnections(model, filter, column, isDescending) {
  const open = filter.state === "closed" ? [] : [...model.open.values()];
  const closed = filter.state === "open" ? [] : [...model.closed.values()];
  const chosen = [...open, ...closed].filter((one) => isWanted(one, filter));
  const sign = isDescending ? -1 : 1;
  const keyed = chosen.map((one) => ({ one, key: column.order === null ? 0 : column.order(one) }));
  keyed.sort((a, b) => sign * compared(a.key, b.key) || sign * (a.one.id - b.one.id));
  return keyed.map(({ one }) => one);
}

const byNumbersWithin = new Intl.Collator("en", { numeric: true });

/**
 * @param {number | string} one
 * @param {number | string} other
 */
function compared(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return one === other ? 0 : byNumbersWithin.compare(String(one), String(other));
}

/** The table; `act` is called for the buttons of a row. */
class ConnectionTable {
  /**
   * @param {Model} model
   * @param {(name: string) => number} hue
   * @param {(action: "copy" | "details", one: Connection) => void} act
   */
  constructor(model, hue, act) {
    this._model = model;
    this._hue = hue;
    this._act = act;
    this._column = COLUMNS[0];
    this._isDescending = true;
    /** @type {Connection[]} */
    this._chosen = [];
    /** @type {Map<Connection, TableRow>} by connection: a restarted daemon reuses numbers */
    this._rows = new Map();
    /** @type {{words: Words, now: number} | null} the arguments of the last drawing */
    this._drawn = null;
    this._top = this._padding();
    this._bottom = this._padding();
    byId("rows").replaceChildren(paddingRow(this._top), paddingRow(this._bottom));
    byId("scroller").addEventListener("scroll", () => this._scrolled(), { passive: true });
  }

  /**
   * Draw the table.
   * @param {Filter} filter
   * @param {Words} words
   * @param {number} now
   */
  draw(filter, words, now) {
    this._drawn = { words, now };
    this._drawHead(words);
    const chosen = chosenConnections(this._model, filter, this._column, this._isDescending);
    this._chosen = chosen;
    const all = this._model.open.size;
    write(byId("shown"), filter.state === "open" ? words.say("shown", chosen.length, all)
      : words.number(chosen.length));
    set(byId("table"), { "aria-rowcount": chosen.length + 1 });
    byId("no-rows").hidden = chosen.length > 0;
    const isNobody = all === 0 && filter.state === "open";
    write(byId("no-rows"), words.say(isNobody ? "nobody" : "noConnections"));
    this._showRows(words, now);
  }

  _scrolled() {
    if (this._drawn !== null) this._showRows(this._drawn.words, this._drawn.now);
  }

  _padding() {
    return element("td", { colspan: String(COLUMNS.length) });
  }

  /** @param {Words} words */
  _drawHead(words) {
    const columns = byId("columns");
    if (!columns.children.length) columns.append(...COLUMNS.map((one) => this._heading(one)));
    COLUMNS.forEach((column, place) => {
      const heading = columns.children[place];
      for (const title of heading.children) write(title, words.say(column.name));
      if (column === this._column) {
        set(heading, { "aria-sort": this._isDescending ? "descending" : "ascending" });
      } else {
        heading.removeAttribute("aria-sort");
      }
    });
  }

  /** @param {Column} column */
  _heading(column) {
    const heading = element("th", { scope: "col", class: column.style });
    if (column.order === null) {
      heading.append(element("span"));
      return heading;
    }
    const button = element("button", { type: "button" });
    button.addEventListener("click", () => this._sortBy(column));
    heading.append(button);
    return heading;
  }

  /** @param {Column} column */
  _sortBy(column) {
    this._isDescending = column === this._column ? !this._isDescending : false;
    this._column = column;
    this._model.changes += 1;
  }

  /**
   * @param {Words} words
   * @param {number} now
   */
  _showRows(words, now) {
    const scroller = byId("scroller");
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const high = ROW_HEIGHT_REM * rem;
    const first = Math.max(0, Math.floor(scroller.scrollTop / high) - SPARE_ROWS);
    const count = Math.ceil(scroller.clientHeight / high) + 2 * SPARE_ROWS;
    const shown = this._chosen.slice(first, first + count);
    const after = this._chosen.length - first - shown.length;
    this._top.style.height = `${Math.min(first, this._chosen.length) * high}px`;
    this._bottom.style.height = `${Math.max(0, after) * high}px`;
    this._keep(shown);
    shown.forEach((one, place) => this._showRow(one, first + place, place).draw(
      one, this._hue(one.service), words, now));
  }

  /** @param {Connection[]} shown */
  _keep(shown) {
    const kept = new Set(shown);
    for (const [one, row] of this._rows) {
      if (kept.has(one)) continue;
      row.root.remove();
      this._rows.delete(one);
    }
  }

  /**
   * Return the row of a connection, and move it to its place.
   * @param {Connection} one
   * @param {number} index  among the selected connections
   * @param {number} place  among the visible rows
   */
  _showRow(one, index, place) {
    let row = this._rows.get(one);
    if (row === undefined) this._rows.set(one, (row = new TableRow(one, this._act)));
    const body = byId("rows");
    const before = body.children[place + 1];
    if (before !== row.root) body.insertBefore(row.root, before);
    set(row.root, { "aria-rowindex": index + 2 });
    return row;
  }
}

/**
 * Return a row that replaces rows that are not visible.
 * @param {HTMLElement} padding
 */
function paddingRow(padding) {
  return element("tr", { class: "pad", "aria-hidden": "true" }, padding);
}

/** One row. */
class TableRow {
  /**
   * @param {Connection} one
   * @param {(action: "copy" | "details", one: Connection) => void} act
   */
  constructor(one, act) {
    this._copy = element("button", { type: "button", "data-act": "copy" });
    this._details = element("button", { type: "button", "data-act": "details" });
    this._copy.addEventListener("click", () => act("copy", one));
    this._details.addEventListener("click", () => act("details", one));
    if (one.filter === null) this._copy.hidden = true;
    this._cells = COLUMNS.map((column) => element("td", { class: column.style }));
    this._tag = element("span", { class: "tag" }, one.service);
    this._cells[0].append(String(one.id));
    this._cells[1].append(this._tag);
    this._cells[2].append(addressParts(one.peer));
    this._cells[3].append(addressParts(one.local));
    this._cells[8].append(this._copy, this._details);
    this.root = element("tr", { class: "row" }, ...this._cells);
  }

  /**
   * @param {Connection} one
   * @param {number} hue
   * @param {Words} words
   * @param {number} now
   */
  draw(one, hue, words, now) {
    const [, , , , age, received, sent, state] = this._cells;
    set(this._tag, { class: `tag hue-${hue}` });
    this.root.classList.toggle("closed", one.closed !== null);
    write(age, words.duration(((one.closed ?? now) - one.opened) / 1000));
    write(received, words.bytes(one.bytesIn));
    write(sent, words.bytes(one.bytesOut));
    write(state, one.closed === null ? words.say("stateOneOpen")
      : one.reason === null ? words.say("stateOneClosed") : words.reason(one.reason));
    write(this._copy, words.say("copyFilter"));
    write(this._details, words.say("details"));
    set(this._copy, { "aria-label": words.say("copyFilterOf", one.id) });
    set(this._details, { "aria-label": words.say("detailsOf", one.id) });
  }
}

/**
 * Return an address with its port emphasized.
 * @param {Address} address
 */
function addressParts(address) {
  const text = element("span", { class: "tuple" });
  if (address.port === null) {
    text.append(addressText(address));
  } else {
    text.append(element("span", { class: "host" }, hostText(address.host)),
      element("b", {}, `:${address.port}`));
  }
  return text;
}
