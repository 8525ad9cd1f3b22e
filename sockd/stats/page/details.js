// The dialog about one connection: its 4-tuple, the Wireshark filter, and the kernel's TCP_INFO.

/** The interval at which the connection is requested again, in milliseconds. */
const ASK_AGAIN = 1000;

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
    write(byId("details-title"), words.say("connection", one.id));
    this._dialog.className = `hue-${hue}`;
    byId("details-body").replaceChildren();
    this._dialog.showModal();
    this._ask(one.id, words);
  }

  /**
   * @param {number} id
   * @param {Words} words
   */
  async _ask(id, words) {
    window.clearTimeout(this._timer);
    let problem = "";
    /** @type {ConnectionView | null} */
    let view = null;
    try {
      const answer = await fetch(`connections/${id}`, { cache: "no-store" });
      if (answer.ok) view = await answer.json();
      else problem = words.say("forgotten");
    } catch {
      problem = words.say("unreachable");
    }
    if (!this._dialog.open || id !== this._id) return;
    if (view === null) this._tell(problem);
    else this._show(view, words);
    this._timer = window.setTimeout(() => this._ask(id, words), ASK_AGAIN);
  }

  /** @param {string} problem */
  _tell(problem) {
    byId("details-body").replaceChildren(element("p", {}, problem));
  }

  /**
   * @param {ConnectionView} view
   * @param {Words} words
   */
  _show(view, words) {
    const body = byId("details-body");
    if (!body.querySelector(".four")) {
      body.replaceChildren(this._fourParts(view, words), this._filter(view, words), element("div"));
    }
    body.lastElementChild?.replaceChildren(
      factList(this._facts(view, words)),
      element("h3", {}, words.say("kernelTitle")),
      view.tcp === null ? element("p", {}, words.say("kernelNothing"))
        : factList(this._kernelFacts(view.tcp, words)));
  }

  /**
   * @param {ConnectionView} view
   * @param {Words} words
   */
  _fourParts(view, words) {
    const end = (/** @type {Address} */ address, /** @type {PlainName} */ who, /** @type {PlainName} */ remark) =>
      element("div", {}, element("small", {}, words.say(who)), `${address.port === null ? address.host : hostText(address.host)}`,
        element("br"), element("b", {}, address.port === null ? "" : `:${address.port}`),
        element("small", {}, address.port === null ? "" : words.say(remark)));
    return element("div", { class: "four" },
      end(view.peer, "client", "changes"), element("span", { "aria-hidden": "true" }, "──▶"),
      end(view.local, "server", "stays"));
  }

  /**
   * @param {ConnectionView} view
   * @param {Words} words
   */
  _filter(view, words) {
    const filter = view.display_filter;
    if (filter === null) return element("div");
    const button = element("button", { type: "button" }, words.say("copy"));
    button.setAttribute("aria-label", words.say("copyFilterOf", view.id));
    button.addEventListener("click", () => this._copy(filter));
    return element("div", { class: "filter" }, words.say("wireshark"),
      element("code", {}, filter), button);
  }

  /**
   * @param {ConnectionView} view
   * @param {Words} words
   * @returns {[string, string][]}
   */
  _facts(view, words) {
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
    if (view.closed !== null) facts.push([words.say("closedAt"), when(view.closed)]);
    if (view.reason !== null) facts.push([words.say("reason"), words.reason(view.reason)]);
    return facts;
  }

  /**
   * @param {TcpView} tcp
   * @param {Words} words
   * @returns {[string, string][]}
   */
  _kernelFacts(tcp, words) {
    return [
      [words.say("tcp.state"), tcp.state],
      [words.say("tcp.rtt"), words.brief(tcp.rtt)],
      [words.say("tcp.rttvar"), words.brief(tcp.rttvar)],
      [words.say("tcp.retransmits"), words.say("segments", tcp.retransmits)],
      [words.say("tcp.mss"), words.bytes(tcp.mss)],
      [words.say("tcp.cwnd"), words.say("segments", tcp.cwnd)],
      [words.say("tcp.unacked"), words.say("segments", tcp.unacked)],
    ];
  }
}

/** @param {[string, string][]} facts */
function factList(facts) {
  const list = element("dl", { class: "facts" });
  for (const [name, value] of facts) list.append(element("dt", {}, name), element("dd", {}, value));
  return list;
}
