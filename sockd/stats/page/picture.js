// The picture of a server port: the port on one side, the ports of the clients on the other, and a
// line for each connection. If there are too many, only the newest have a line each. The others are
// drawn as a bundle for each host, with a stroke on a scale for each port.

/** The maximum number of clients that are drawn one by one. */
const MOST_DRAWN = 60;

/** How many of the newest are drawn one by one if there are more. */
const NEWEST_DRAWN = 12;

/** The maximum number of bundles. */
const MOST_BUNDLES = 6;

/** How long a closed connection fades, in milliseconds. */
const FADING = 1400;

/** The width of a picture at its normal size, in pixels; a wider one has larger text. */
const USUAL_WIDTH = 420;
const MOST_ENLARGED = 1.75;

/** The total height of the rows of many clients at normal size, and its maximum. */
const ROWS_HEIGHT = 560;
const MOST_HEIGHTENED = 1.35;

/**
 * One row on the clients' side.
 * @typedef {object} Row
 * @property {string} key
 * @property {"client" | "bundle" | "rest"} sort
 * @property {string} host
 * @property {number | null} port
 * @property {string} note
 * @property {number[]} ports  the ports of a bundle, in order
 * @property {number} rate
 * @property {number} weight  the number of connections in it
 * @property {boolean} isClosing
 */

/**
 * The layout, in pixels.
 * @typedef {object} Plan
 * @property {number} width
 * @property {number} height
 * @property {number} unit  the scale of the picture; 1 is the normal size
 * @property {number} step  the height of the row of a client
 * @property {number} font
 * @property {number} edge  the right edge of the clients' texts
 * @property {number} server  the width of the server
 * @property {number} x  the left edge of the server
 * @property {number} y  the middle of the server
 * @property {Row[]} rows
 */

/**
 * Return the rows of a picture.
 * @param {Connection[]} connections  open connections, oldest first
 * @param {Connection[]} closing  closed connections that are fading
 * @param {Words} words
 * @returns {Row[]}
 */
function pictureRows(connections, closing, words) {
  if (connections.length + closing.length <= MOST_DRAWN) {
    const all = [...connections, ...closing].sort((one, other) => one.id - other.id);
    return all.map(clientRow);
  }
  const newest = connections.slice(-NEWEST_DRAWN).reverse();
  const bundles = bundlesOf(connections.slice(0, -NEWEST_DRAWN));
  const rows = bundles.slice(0, MOST_BUNDLES).map(([host, ports]) => bundleRow(host, ports, words));
  const others = bundles.slice(MOST_BUNDLES);
  if (others.length) rows.push(restRow(others, words));
  return [...newest.map(clientRow), ...rows];
}

/**
 * Return the client ports of each host, the host with the most ports first.
 * @param {Connection[]} connections
 * @returns {[string, number[]][]}
 */
function bundlesOf(connections) {
  /** @type {Map<string, number[]>} */
  const hosts = new Map();
  for (const { peer } of connections) {
    const ports = hosts.get(peer.host);
    if (ports === undefined) hosts.set(peer.host, [peer.port ?? 0]);
    else ports.push(peer.port ?? 0);
  }
  return [...hosts].sort((one, other) => other[1].length - one[1].length);
}

/**
 * @param {Connection} one
 * @returns {Row}
 */
function clientRow(one) {
  const { host, port } = one.peer;
  const note = port === null ? `#${one.id}` : "";
  return {
    key: `client ${one.id}`, sort: "client", host: port === null ? "" : hostText(host), port, note,
    ports: [], rate: one.rate, weight: 1, isClosing: one.closed !== null,
  };
}

/**
 * @param {string} host
 * @param {number[]} ports
 * @param {Words} words
 * @returns {Row}
 */
function bundleRow(host, ports, words) {
  return {
    key: `bundle ${host}`, sort: "bundle", host: hostText(host), port: null,
    note: words.say("more", ports.length), ports, rate: 0, weight: ports.length, isClosing: false,
  };
}

/**
 * @param {[string, number[]][]} bundles
 * @param {Words} words
 * @returns {Row}
 */
function restRow(bundles, words) {
  const count = bundles.reduce((sum, [, ports]) => sum + ports.length, 0);
  return {
    key: "rest", sort: "rest", host: words.say("moreHosts", bundles.length), port: null,
    note: words.say("more", count), ports: [], rate: 0, weight: count, isClosing: false,
  };
}

/**
 * Return the counts for a port, for its sentence.
 * @param {Transport} transport
 * @param {number} port
 * @param {Connection[]} connections
 * @returns {PortCounts}
 */
function portCounts(transport, port, connections) {
  const clients = new Set();
  const hosts = new Set();
  const ports = new Set();
  for (const { peer } of connections) {
    clients.add(addressText(peer));
    hosts.add(peer.host);
    ports.add(peer.port);
  }
  return {
    isUdp: transport === "udp", port, connections: connections.length,
    clients: clients.size, hosts: hosts.size, ports: ports.size,
    onlyPort: connections.length === 1 ? connections[0].peer.port : null,
  };
}

/** The picture of one server port, drawn in `svg`. */
class Picture {
  /** @param {ListenerView} listener */
  constructor(listener) {
    this._listener = listener;
    this.svg = drawing("svg", { role: "img", height: 100 });
    this._lanes = drawing("g");
    this._ends = drawing("g");
    this._invite = drawing("g");
    this._server = this._makeServer();
    this.svg.append(this._lanes, this._ends, this._server, this._invite);
    /** @type {Map<string, {lane: SVGElement, end: SVGElement}>} */
    this._drawn = new Map();
  }

  /**
   * Draw the picture.
   * @param {Row[]} rows
   * @param {number} width  in pixels
   * @param {string} text  the alternative text
   * @param {string} invitation  the command to type, if no client is connected
   * @param {Words} words
   */
  draw(rows, width, text, invitation, words) {
    const plan = this._plan(rows, width);
    set(this.svg, {
      viewBox: `0 0 ${width} ${plan.height}`, height: plan.height, "aria-label": text,
    });
    rows.forEach((row, place) => this._drawRow(row, place, plan));
    this._forget(new Set(rows.map((row) => row.key)));
    this._placeServer(plan);
    this._drawInvitation(rows.length ? "" : invitation, plan, words);
  }

  /**
   * @param {Row[]} rows
   * @param {number} width
   * @returns {Plan}
   */
  _plan(rows, width) {
    const unit = Math.min(MOST_ENLARGED, Math.max(1, width / USUAL_WIDTH));
    const step = rowStep(rows.length, unit);
    const height = Math.max(152 * unit, tallOf(rows, step, unit) + 16);
    const server = unit * (width < 400 ? 112 : addressText(this._listener).length > 18 ? 172 : 136);
    const room = Math.max(90, width - server - unit * (width < 400 ? 64 : 84));
    const longest = Math.max(9, ...rows.map(labelLength));
    const font = Math.min(17 * unit, step * 0.92, room / (longest * 0.61));
    const edge = Math.min(room, longest * font * 0.61) + 4;
    return { width, height, unit, step, font, edge, server, x: width - server, y: height / 2, rows };
  }

  /**
   * @param {Row} row
   * @param {number} place
   * @param {Plan} plan
   */
  _drawRow(row, place, plan) {
    const y = rowMiddle(plan, place);
    let made = this._drawn.get(row.key);
    if (made === undefined) {
      made = { lane: drawing("path"), end: makeEnd(row) };
      made.lane.classList.add("lane", row.sort, "drawn");
      this._lanes.append(made.lane);
      this._ends.append(made.end);
      this._drawn.set(row.key, made);
    }
    const start = plan.edge + 16 * plan.unit;
    const middle = (start + plan.x - 12) / 2;
    const path = `M ${start} ${y} C ${middle} ${y} ${middle} ${plan.y} ${plan.x - 10} ${plan.y}`;
    if (!made.lane.hasAttribute("d")) {
      made.lane.style.setProperty("--length", `${Math.hypot(plan.x - start, plan.y - y) * 1.3}px`);
    }
    set(made.lane, { d: path });
    made.lane.style.strokeWidth = `${laneWidth(row) * plan.unit}px`;
    for (const part of [made.lane, made.end]) part.classList.toggle("closing", row.isClosing);
    made.lane.classList.toggle("busy", row.rate > 0);
    placeEnd(made.end, row, plan, y);
  }

  /** @param {Set<string>} kept */
  _forget(kept) {
    for (const [key, { lane, end }] of this._drawn) {
      if (kept.has(key)) continue;
      lane.remove();
      end.remove();
      this._drawn.delete(key);
    }
  }

  _makeServer() {
    const { host, port } = this._listener;
    const number = drawing("text", { class: "number", "text-anchor": "middle" });
    number.textContent = port === null ? "unix" : `:${port}`;
    const place = drawing("text", { "text-anchor": "middle" });
    place.textContent = port === null ? host : hostText(host);
    return drawing("g", { class: "server" }, drawing("rect", { rx: 14 }), number, place,
      drawing("circle", { class: "plug" }));
  }

  /** @param {Plan} plan */
  _placeServer(plan) {
    const [box, number, place, plug] = this._server.children;
    const { server, unit } = plan;
    const middle = server / 2 + 3;
    const length = (place.textContent ?? "").length;
    const font = Math.min(15 * unit, (server - 26) / (length * 0.61));
    this._server.style.transform = `translate(${plan.x}px, ${plan.y}px)`;
    set(box, { x: 0, y: -48 * unit, width: server - 2, height: 96 * unit });
    set(number, { x: middle, y: 4 * unit, "font-size": server < 130 ? 23 : 28 * unit });
    set(place, { x: middle, y: 30 * unit, "font-size": font });
    set(plug, { cx: 0, cy: 0, r: 8 * unit });
  }

  /**
   * @param {string} invitation
   * @param {Plan} plan
   * @param {Words} words
   */
  _drawInvitation(invitation, plan, words) {
    const { unit } = plan;
    const lines = invitation ? [words.say("tryThis"), invitation] : [];
    while (this._invite.children.length > lines.length) this._invite.lastChild?.remove();
    lines.forEach((line, place) => {
      const text = this._invite.children[place] ?? this._invite.appendChild(drawing("text"));
      set(text, {
        class: place ? "invite code" : "invite", x: 2, y: plan.y + unit * (26 * place - 6),
        "font-size": Math.min(16 * unit, (plan.x - 30) / (line.length * (place ? 0.61 : 0.5))),
      });
      write(text, line);
    });
  }
}

/**
 * Return the elements of a row that never change.
 * @param {Row} row
 */
function makeEnd(row) {
  const text = drawing("text", { "text-anchor": "end" },
    drawing("tspan"), drawing("tspan", { class: "number" }));
  const end = drawing("g", { class: "end" }, text, drawing("circle"));
  if (row.sort === "bundle") {
    end.append(drawing("path", { class: "codes" }), drawing("text", { "text-anchor": "start" }),
      drawing("text", { "text-anchor": "end" }));
  }
  return end;
}

/**
 * @param {SVGElement} end
 * @param {Row} row
 * @param {Plan} plan
 * @param {number} y
 */
function placeEnd(end, row, plan, y) {
  const [text, dot, codes, least, most] = end.children;
  const { unit } = plan;
  const isBundle = row.sort !== "client";
  const font = isBundle ? Math.max(13 * unit, plan.font) : plan.font;
  const radius = isBundle ? 6 * unit : Math.max(2.5, Math.min(4.5 * unit, font * 0.3));
  const [host, number] = text.children;
  end.style.transform = `translate(0, ${y}px)`;
  set(text, { x: plan.edge, y: isBundle ? -6 * unit : font * 0.35, "font-size": font });
  write(host, row.sort === "client" ? row.host : `${row.host} `);
  write(number, row.port === null ? row.note : `:${row.port}`);
  set(dot, { cx: plan.edge + 11 * unit, cy: 0, r: radius });
  if (codes === undefined) return;
  const ordered = [...row.ports].sort((one, other) => one - other);
  set(codes, { d: scaleOf(ordered, plan.edge, 4 * unit, 13 * unit) });
  /** @type {[Element, number, number][]} */
  const ends = [[least, 0, ordered[0]], [most, plan.edge, ordered[ordered.length - 1]]];
  for (const [label, x, port] of ends) {
    set(label, { x, y: 30 * unit, "font-size": 12 * unit });
    write(label, `:${port}`);
  }
}

/**
 * Return the strokes of ports on a scale from the lowest to the highest, at most one per pixel.
 * @param {number[]} ports  in order
 * @param {number} width
 * @param {number} top
 * @param {number} height
 */
function scaleOf(ports, width, top, height) {
  const least = ports[0];
  const span = Math.max(1, ports[ports.length - 1] - least);
  const places = new Set(ports.map((port) => Math.round(((port - least) / span) * (width - 1))));
  return [...places].map((x) => `M ${x + 0.5} ${top} v ${height}`).join(" ");
}

/** @param {Row} row */
function laneWidth(row) {
  if (row.sort !== "client") return Math.min(22, 3 + 2.2 * Math.log10(row.weight) ** 1.6);
  return row.rate > 0 ? Math.min(9, 3 + 1.1 * Math.log10(1 + row.rate / 8)) : 2;
}

/** @param {Row} row */
function labelLength(row) {
  const length = row.host.length + (row.port === null ? row.note.length + 1 : String(row.port).length + 1);
  return row.sort === "client" ? length : Math.max(length, 20);
}

/** The height of a bundle at normal size, in pixels. */
const BUNDLE_HEIGHT = 62;

/**
 * Return the height of the row of a client, which decreases with their number.
 * @param {number} count
 * @param {number} unit  the scale of the picture
 */
function rowStep(count, unit) {
  if (count <= 8) return 38 * unit;
  const room = ROWS_HEIGHT * Math.min(unit, MOST_HEIGHTENED);
  return Math.max(14, room / Math.max(count, 18));
}

/**
 * Return the total height of rows; bundles are higher.
 * @param {Row[]} rows
 * @param {number} step
 * @param {number} unit
 */
function tallOf(rows, step, unit) {
  const high = (/** @type {Row} */ row) => (row.sort === "client" ? step : BUNDLE_HEIGHT * unit);
  return rows.reduce((sum, row) => sum + high(row), 0);
}

/**
 * @param {Plan} plan
 * @param {number} place
 */
function rowMiddle(plan, place) {
  const { rows, step, unit } = plan;
  const above = tallOf(rows.slice(0, place), step, unit);
  const own = tallOf([rows[place]], step, unit);
  const top = (plan.height - tallOf(rows, step, unit)) / 2;
  return Math.round(top + above + own / 2);
}
