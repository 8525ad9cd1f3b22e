// The dialog about one connection: its four parts, the Wireshark filter, and what the kernel knows.

/** How often what is shown is asked for again, in milliseconds. */
const ASK_AGAIN = 1000;

/** The members of a CONNECTION's `tcp` that are times, and those that count segments. */
const TCP_TIMES = ["rtt", "rttvar"];
const TCP_SEGMENTS = ["cwnd", "unacked", "retransmits"];

/** The dialog. */
class Details {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {(text: string) => void} copy
   */
  constructor(dialog, copy) {
    this._dialog = dialog;
    this._copy = copy;
    this._id = 0;
    this._timer = 0;
    /** @type {any} */
    this._view = null;
    dialog.addEventListener("close", () => window.clearTimeout(this._timer));
  }

  /**
   * Show a connection until the dialog is closed.
   * @param {Connection} one
   * @param {number} hue
   * @param {Words} words
   */
  open(one, hue, words) {
    this._id = one.id;
    this._words = words;
    write(byId("details-title"), words.say("connection", one.id));
    this._dialog.className = `hue-${hue}`;
    byId("details-body").replaceChildren();
    this._dialog.showModal();
    this._ask();
  }

  async _ask() {
    window.clearTimeout(this._timer);
    const id = this._id;
    let problem = "";
    let view = null;
    try {
      const answer = await fetch(`connections/${id}`, { cache: "no-store" });
      if (answer.ok) view = await answer.json();
      else problem = this._words.say("forgotten");
    } catch {
      problem = this._words.say("unreachable");
    }
    if (!this._dialog.open || id !== this._id) return;
    if (view === null) this._tell(problem);
    else this._show(view);
    this._timer = window.setTimeout(() => this._ask(), ASK_AGAIN);
  }

  /** @param {string} problem */
  _tell(problem) {
    byId("details-body").replaceChildren(element("p", {}, problem));
  }

  /** @param {any} view */
  _show(view) {
    const body = byId("details-body");
    if (!body.querySelector(".four")) {
      body.replaceChildren(this._fourParts(view), this._filter(view), element("div"));
    }
    body.lastElementChild.replaceChildren(
      factList(this._facts(view)),
      element("h3", {}, this._words.say("kernelTitle")),
      view.tcp === null ? element("p", {}, this._words.say("kernelNothing"))
        : factList(this._kernelFacts(view.tcp)));
  }

  /** @param {any} view */
  _fourParts(view) {
    const end = (/** @type {Address} */ address, /** @type {string} */ who, /** @type {string} */ remark) =>
      element("div", {}, element("small", {}, this._words.say(who)), `${address.port === null ? address.host : hostText(address.host)}`,
        element("br"), element("b", {}, address.port === null ? "" : `:${address.port}`),
        element("small", {}, address.port === null ? "" : this._words.say(remark)));
    return element("div", { class: "four" },
      end(view.peer, "client", "changes"), element("span", { "aria-hidden": "true" }, "──▶"),
      end(view.local, "server", "stays"));
  }

  /** @param {any} view */
  _filter(view) {
    if (view.display_filter === null) return element("div");
    const button = element("button", { type: "button" }, this._words.say("copy"));
    button.setAttribute("aria-label", this._words.say("copyFilterOf", view.id));
    button.addEventListener("click", () => this._copy(view.display_filter));
    return element("div", { class: "filter" }, this._words.say("wireshark"),
      element("code", {}, view.display_filter), button);
  }

  /**
   * @param {any} view
   * @returns {[string, string][]}
   */
  _facts(view) {
    const words = this._words;
    const when = (/** @type {string} */ text) => words.time(Date.parse(text));
    const traffic = words.say("trafficOf", words.bytes(view.bytes_in), words.bytes(view.bytes_out),
      view.reads, view.writes);
    const sorts = new Set([view.kind, view.transport]);
    /** @type {[string, string][]} */
    const facts = [
      [words.say("service"), `${view.service} (${[...sorts].join(", ")})`],
      [words.say("opened"), when(view.opened)],
      [words.say("lastActivity"), when(view.last_activity)],
      [words.say("traffic"), traffic],
    ];
    if (view.via !== null) facts.push([words.say("via"), addressText(view.via)]);
    if (view.closed !== null) {
      facts.push([words.say("closedAt"), when(view.closed)]);
      facts.push([words.say("reason"), words.say(`reason.${view.reason}`)]);
    }
    return facts;
  }

  /**
   * @param {Record<string, any>} tcp
   * @returns {[string, string][]}
   */
  _kernelFacts(tcp) {
    return Object.entries(tcp).map(([name, value]) => {
      const text = TCP_TIMES.includes(name) ? this._words.brief(value)
        : TCP_SEGMENTS.includes(name) ? this._words.say("segments", value)
          : name === "mss" ? this._words.bytes(value) : String(value);
      return [this._words.say(`tcp.${name}`), text];
    });
  }
}

/** @param {[string, string][]} facts */
function factList(facts) {
  const list = element("dl", { class: "facts" });
  for (const [name, value] of facts) list.append(element("dt", {}, name), element("dd", {}, value));
  return list;
}
