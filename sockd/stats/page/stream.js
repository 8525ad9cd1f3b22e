// The link to the daemon: the current state once, and then the events. If events do not arrive, it
// polls. If the daemon does not answer, it retries forever. While the page is hidden it
// disconnects: a browser opens at most six connections to a host.

/** How many connections are requested at a time. */
const PAGE_SIZE = 1000;

/** How many events from before the page was opened are shown. */
const EVENTS_BEFORE = 300;

/** How long to wait for the event `hello`, in milliseconds; then the stream counts as blocked. */
const HELLO_PATIENCE = 4000;

/** How long the stream may be silent before the page checks whether it still works. */
const SILENCE = 8000;

/** The polling interval, and the time until the stream is tried again. */
const POLL_EVERY = 2000;
const STREAM_AGAIN = 20000;

/** How long the page may be hidden before it disconnects. */
const REST_AFTER = 2000;

/** The delays between retries. */
const TRY_AGAIN = [500, 1000, 2000, 3000];

/**
 * The events of sockets, and the summary events.
 * @type {EventWord[]}
 */
const EVENT_WORDS = ["bind", "listen", "accept", "refuse", "close", "totals", "burst", "lost"];

/**
 * @typedef {"starting" | "live" | "polling" | "resting" | "gone"} LinkState
 */

/**
 * The callbacks of the link.
 * @typedef {object} Listener
 * @property {(state: LinkState) => void} linked
 * @property {(stats: StatsView) => void} described  an answer of /stats
 * @property {(views: ConnectionView[]) => void} listed  a part of the open connections
 * @property {(ids: Set<number>, newest: number) => void} complete  all of them were listed
 * @property {(event: DaemonEvent) => void} told  an event
 * @property {() => number} newest  the greatest known number of a connection
 */

/**
 * Return the number within an event's id.
 * @param {string} id  START-NUMBER
 */
function eventNumber(id) {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

/**
 * Return the id of an event that is a number of events before another.
 * @param {string} id
 * @param {number} count
 */
function eventBefore(id, count) {
  const start = id.slice(0, id.lastIndexOf("-"));
  return `${start}-${Math.max(0, eventNumber(id) - count)}`;
}

/**
 * Return whether two ids belong to the same run of a daemon.
 * @param {string} one
 * @param {string} other
 */
function isSameStart(one, other) {
  return one !== "" && eventBefore(one, Infinity) === eventBefore(other, Infinity);
}

/**
 * Return the answer of a path.
 * @param {string} path
 */
async function askDaemon(path) {
  const signal = AbortSignal.timeout(15000);
  const answer = await fetch(path, { cache: "no-store", signal });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/**
 * Return the answer of /stats.
 * @returns {Promise<StatsView>}
 */
function askStats() {
  return askDaemon("stats");
}

/**
 * Return a part of the open connections.
 * @param {number} after  the number after which it begins
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
    /** @type {DaemonEvent[] | null} events that wait for the lists */
    this._waiting = null;
    /** The id of the last event that was applied, or that an answer contains. */
    this._lastId = "";
    this._started = "";
    this._heardAt = 0;
    this._suspicions = 0;
    this._helloTimer = 0;
    this._pollTimer = 0;
    this._restTimer = 0;
    this._round = 0;
  }

  /** Connect, and reconnect when necessary. */
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

  /** @param {StatsView} stats  with the id of the newest event */
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
      // The daemon was restarted since the request: its history is another one.
      this._connect();
      return;
    }
    window.clearTimeout(this._pollTimer);
    this._heardAt = Date.now();
    this._suspicions = 0;
    this._waiting ??= [];
    await this._synchronise();
  }

  /** Request the current state, then apply the events since. */
  async _synchronise() {
    if (!await this._listAnew()) return;
    const waiting = this._waiting ?? [];
    this._waiting = null;
    this._failures = 0;
    for (const event of waiting) this._listener.told(event);
    this._become("live");
    this._restOrRise();
  }

  /** Begin a round: list all connections. Return whether it was completed. */
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

  /** @param {number} round  ends when another one begins */
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
      // The browser reconnects by itself, and resumes by Last-Event-ID.
      this._round += 1;
      this._become("gone");
    }
  }

  /** Poll, if the daemon answers: the stream is blocked. */
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

  /** @param {number} until  the time to try the stream again */
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

  /** Check whether a silent stream has missed an event. */
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

  /** Disconnect after a while when the page is hidden; resume when it is visible again. */
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
