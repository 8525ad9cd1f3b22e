// The list of events. For screen readers, the number of opened and closed connections is announced
// at intervals instead of every line.

/** The maximum number of lines. */
const LINES_KEPT = 500;

/** The interval of the announcements, in milliseconds. */
const ANNOUNCE_EVERY = 4000;

/**
 * An entry of the list.
 * @typedef {object} Happening
 * @property {number} time  in milliseconds since the epoch
 * @property {string} service  empty if it is about the daemon
 * @property {number | null} number  of the connection
 * @property {(words: Words) => string} text  returns its text
 */

/** The list of events, newest first. */
class Log {
  /**
   * @param {HTMLElement} place
   * @param {HTMLElement} announcer
   * @param {(name: string) => number} hue
   */
  constructor(place, announcer, hue) {
    this._place = place;
    this._announcer = announcer;
    this._hue = hue;
    /** @type {Happening[]} */
    this._kept = [];
    /** @type {Happening[]} */
    this._fresh = [];
    this._counts = { accept: 0, close: 0 };
    this._announcedAt = 0;
    this.isPaused = false;
  }

  /** @param {Happening} happening */
  add(happening) {
    this._fresh.push(happening);
    if (this._fresh.length > LINES_KEPT) this._fresh.shift();
  }

  /**
   * Count an opened or closed connection for the next announcement.
   * @param {"accept" | "close"} word
   */
  count(word) {
    this._counts[word] += 1;
  }

  /**
   * Add the new entries to the document.
   * @param {Words} words
   */
  draw(words) {
    if (this.isPaused || !this._fresh.length) return;
    this._kept.push(...this._fresh);
    this._kept.splice(0, this._kept.length - LINES_KEPT);
    const lines = this._fresh.map((one) => this._line(one, words)).reverse();
    this._fresh = [];
    this._place.prepend(...lines);
    while (this._place.children.length > LINES_KEPT) this._place.lastChild?.remove();
  }

  /**
   * Draw all entries again, in another language.
   * @param {Words} words
   */
  translate(words) {
    this._place.replaceChildren(...this._kept.map((one) => this._line(one, words)).reverse());
  }

  /**
   * Announce how many connections were opened and closed since the last announcement.
   * @param {Words} words
   * @param {number} now
   */
  announce(words, now) {
    if (now - this._announcedAt < ANNOUNCE_EVERY) return;
    const text = words.say("announced", this._counts.accept, this._counts.close);
    if (!text) return;
    this._announcedAt = now;
    this._counts = { accept: 0, close: 0 };
    this._announcer.textContent = text;
  }

  /** Discard what is not announced yet: it is too old. */
  hush() {
    this._counts = { accept: 0, close: 0 };
  }

  /**
   * @param {Happening} happening
   * @param {Words} words
   */
  _line(happening, words) {
    const { time, service, number } = happening;
    const text = element("span", {}, happening.text(words));
    if (service) {
      const name = element("b", {}, service);
      name.className = `hue-${this._hue(service)}`;
      text.append(" (", name, number === null ? "" : ` #${number}`, ")");
    }
    const iso = new Date(time).toISOString();
    return element("li", {}, element("time", { datetime: iso }, words.time(time)), text);
  }
}

/**
 * Return a function that returns the text of an event without a connection.
 * @param {Extract<DaemonEvent, {word: "bind" | "listen" | "refuse"}>} event
 * @returns {(words: Words) => string}
 */
function listenerText(event) {
  const { transport, backlog } = event.data.listener;
  const local = addressText(event.data.listener);
  if (event.word === "refuse") {
    const { reason } = event.data;
    const peer = addressText(event.data.peer);
    return (words) => words.say("log.refuse", { peer, local, why: words.reason(reason) });
  }
  const name = event.word === "bind" ? "log.bind" : "log.listen";
  return (words) => words.say(name, { transport, local, backlog });
}

/**
 * Return a function that returns the text of an accepted connection.
 * @param {Connection} one
 * @returns {(words: Words) => string}
 */
function acceptText(one) {
  const parts = { transport: one.transport, peer: addressText(one.peer), local: addressText(one.local) };
  return (words) => words.say("log.accept", parts);
}

/**
 * Return a function that returns the text of a closed connection.
 * @param {Connection} one
 * @returns {(words: Words) => string}
 */
function closeText(one) {
  const { reason, bytesIn, bytesOut } = one;
  const [peer, local] = [addressText(one.peer), addressText(one.local)];
  return (words) => words.say("log.close", {
    peer, local, why: words.reason(reason),
    bytesIn: words.number(bytesIn), bytesOut: words.number(bytesOut),
  });
}
