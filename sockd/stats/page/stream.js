// The link to the daemon: what there is once, and the events from then on. Where the events do not
// get through it asks again and again; where nobody answers it tries again, for as long as it takes.
// While nobody sees the page it rests: a browser has no more than six connections to one daemon.

/** How many connections are asked for at a time. */
const PAGE_SIZE = 1000;

/** How many events from before the page was opened are told. */
const EVENTS_BEFORE = 300;

/** How long the stream may take to say hello, in milliseconds, before it counts as blocked. */
const HELLO_PATIENCE = 4000;

/** How long the stream may be silent before the page looks whether it is still alive. */
const SILENCE = 8000;

/** How far apart two polls are; and how long until the stream is tried again meanwhile. */
const POLL_EVERY = 2000;
const STREAM_AGAIN = 20000;

/** How long the page may be hidden before it rests. */
const REST_AFTER = 2000;

/** How long to wait before the next try, where nobody answers. */
const TRY_AGAIN = [500, 1000, 2000, 3000];

/**
 * The events of the daemon's sockets, and those about all of them.
 * @type {EventWord[]}
 */
const EVENT_WORDS = ["bind", "listen", "accept", "refuse", "close", "totals", "burst", "lost"];

/**
 * @typedef {"starting" | "live" | "polling" | "resting" | "gone"} LinkState
 */

/**
 * Who is told what the link learns.
 * @typedef {object} Listener
 * @property {(state: LinkState) => void} linked
 * @property {(stats: StatsView) => void} described  /stats was asked
 * @property {(views: ConnectionView[]) => void} listed  a part of the open connections
 * @property {(ids: Set<number>, newest: number) => void} complete  all of them were listed
 * @property {(event: DaemonEvent) => void} told
 * @property {() => number} newest  the greatest number of a connection that is known
 */

/**
 * Return the number within an event's id.
 * @param {string} id  START-NUMBER
 */
function eventNumber(id) {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

/**
 * Return the id of an event some events before another.
 * @param {string} id
 * @param {number} count
 */
function eventBefore(id, count) {
  const start = id.slice(0, id.lastIndexOf("-"));
  return `${start}-${Math.max(0, eventNumber(id) - count)}`;
}

/**
 * Return whether two ids are of events of one daemon, from one start of it.
 * @param {string} one
 * @param {string} other
 */
function isSameStart(one, other) {
  return one !== "" && eventBefore(one, Infinity) === eventBefore(other, Infinity);
}

/**
 * Return what a path of the daemon answers.
 * @param {string} path
 */
async function askDaemon(path) {
  const signal = AbortSignal.timeout(15000);
  const answer = await fetch(path, { cache: "no-store", signal });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/**
 * Return what /stats answers.
 * @returns {Promise<StatsView>}
 */
function askStats() {
  return askDaemon("stats");
}

/**
 * Return a part of the open connections.
 * @param {number} after  the number behind which it begins
 * @returns {Promise<ConnectionsView>}
 */
function askConnections(after) {
  return askDaemon(`connections?limit=${PAGE_SIZE}&after=${after}`);
}

/** The link. */
class Link {
  /** @param {Listener} listener */
  constructor(listener) {
    this._listener = listener;
    /** @type {LinkState} */
    this._state = "starting";
    this._failures = 0;
    /** @type {EventSource | null} */
    this._source = null;
    /** @type {DaemonEvent[] | null} events that wait until the lists are here */
    this._waiting = null;
    /** The id of the last event that is told, or in what was asked for. */
    this._lastId = "";
    this._started = "";
    this._heardAt = 0;
    this._suspicions = 0;
    this._helloTimer = 0;
    this._pollTimer = 0;
    this._restTimer = 0;
    this._round = 0;
  }

  /** Begin, and keep at it. */
  start() {
    window.setInterval(() => this._watch(), SILENCE);
    document.addEventListener("visibilitychange", () => this._restOrRise());
    this._connect();
  }

  async _connect() {
    try {
      const stats = await askStats();
      this._listener.described(stats);
      this._open(stats);
    } catch {
      this._tryAgain();
    }
  }

  _tryAgain() {
    this._closeSource();
    this._become("gone");
    const delay = TRY_AGAIN[Math.min(this._failures, TRY_AGAIN.length - 1)];
    this._failures += 1;
    window.clearTimeout(this._pollTimer);
    this._pollTimer = window.setTimeout(() => this._connect(), delay);
  }

  /** @param {StatsView} stats  which say how far the events are */
  _open(stats) {
    this._closeSource();
    const after = isSameStart(this._lastId, stats.event_id) ? this._lastId
      : eventBefore(stats.event_id, EVENTS_BEFORE);
    this._started = stats.daemon.started;
    const source = new EventSource(`events?last_event_id=${encodeURIComponent(after)}`);
    this._source = source;
    this._waiting = [];
    source.addEventListener("hello", (event) => this._hello(JSON.parse(event.data)));
    for (const word of EVENT_WORDS) {
      source.addEventListener(word, (event) => this._receive(word, event));
    }
    source.addEventListener("error", () => this._failed(source));
    this._helloTimer = window.setTimeout(() => this._blocked(), HELLO_PATIENCE);
  }

  _closeSource() {
    window.clearTimeout(this._helloTimer);
    this._source?.close();
    this._source = null;
  }

  /** @param {HelloData} hello */
  async _hello(hello) {
    window.clearTimeout(this._helloTimer);
    if (hello.started !== this._started) {
      // Another daemon than the one that was asked: it has a history of its own.
      this._connect();
      return;
    }
    window.clearTimeout(this._pollTimer);
    this._heardAt = Date.now();
    this._suspicions = 0;
    this._waiting ??= [];
    await this._synchronise();
  }

  /** Ask for all there is, then apply what has come since. */
  async _synchronise() {
    if (!await this._listAnew()) return;
    const waiting = this._waiting ?? [];
    this._waiting = null;
    this._failures = 0;
    for (const event of waiting) this._listener.told(event);
    this._become("live");
    this._restOrRise();
  }

  /** Begin a round: list everything. Return whether it came to its end. */
  async _listAnew() {
    this._round += 1;
    const round = this._round;
    try {
      await this._list(round);
    } catch {
      if (round === this._round) this._tryAgain();
      return false;
    }
    return round === this._round;
  }

  /** @param {number} round  which is over when another one has begun */
  async _list(round) {
    const stats = await askStats();
    if (round !== this._round) return;
    this._listener.described(stats);
    if (this._state === "polling") this._lastId = stats.event_id;
    const newest = this._listener.newest();
    /** @type {Set<number>} */
    const ids = new Set();
    /** @type {number | null} */
    let after = 0;
    while (after !== null) {
      /** @type {ConnectionsView} */
      const page = await askConnections(after);
      if (round !== this._round) return;
      for (const view of page.connections) ids.add(view.id);
      this._listener.listed(page.connections);
      after = page.next;
    }
    this._listener.complete(ids, newest);
  }

  /**
   * @param {EventWord} word
   * @param {MessageEvent<string>} message
   */
  _receive(word, message) {
    this._heardAt = Date.now();
    this._lastId = message.lastEventId;
    const event = { word, data: JSON.parse(message.data) };
    if (this._waiting === null) this._listener.told(event);
    else this._waiting.push(event);
    if (word === "lost") {
      this._waiting ??= [];
      this._synchronise();
    }
  }

  /** @param {EventSource} source */
  _failed(source) {
    if (source !== this._source) return;
    if (source.readyState === EventSource.CLOSED) {
      this._blocked();
    } else if (this._state !== "polling") {
      // The browser tries again by itself, and says in Last-Event-ID how far it was.
      this._round += 1;
      this._become("gone");
    }
  }

  /** The stream does not come through: poll, if the daemon answers at all. */
  async _blocked() {
    this._closeSource();
    try {
      this._listener.described(await askStats());
      this._become("polling");
      this._poll(Date.now() + STREAM_AGAIN);
    } catch {
      this._tryAgain();
    }
  }

  /** @param {number} until  when the stream is tried again */
  async _poll(until) {
    window.clearTimeout(this._pollTimer);
    if (!await this._listAnew()) return;
    this._failures = 0;
    const isTime = Date.now() >= until;
    if (isTime) await this._tryStream();
    const next = isTime ? Date.now() + STREAM_AGAIN : until;
    this._pollTimer = window.setTimeout(() => {
      if (this._state === "polling") this._poll(next);
    }, POLL_EVERY);
  }

  async _tryStream() {
    try {
      this._open(await askStats());
    } catch {
      this._tryAgain();
    }
  }

  /** Look whether a silent stream is still alive: an event that it never brought tells. */
  async _watch() {
    if (this._state !== "live" || Date.now() - this._heardAt < SILENCE) return;
    const heard = this._lastId;
    try {
      const stats = await askStats();
      if (this._state !== "live") return;
      this._listener.described(stats);
      const isBehind = heard === this._lastId && stats.event_id !== heard &&
        (heard !== "" || eventNumber(stats.event_id) > 0);
      this._suspicions = isBehind ? this._suspicions + 1 : 0;
      if (this._suspicions > 1) this._blocked();
    } catch {
      if (this._state === "live") this._tryAgain();
    }
  }

  /** Leave the stream soon if nobody sees the page; go on where it was if somebody does again. */
  _restOrRise() {
    window.clearTimeout(this._restTimer);
    if (document.hidden) {
      this._restTimer = window.setTimeout(() => this._rest(), REST_AFTER);
    } else if (this._state === "resting") {
      this._become("starting");
      this._connect();
    }
  }

  _rest() {
    if (this._state !== "live") return;
    this._round += 1;
    this._closeSource();
    this._become("resting");
  }

  /** @param {LinkState} state */
  _become(state) {
    if (state === this._state) return;
    this._state = state;
    this._listener.linked(state);
  }
}
