// The model: services, connections and their traffic, from /stats, /connections and /events. It
// uses neither the network nor the document, and time is passed to it.

/** How many closed connections are kept. */
const CLOSED_KEPT = 1000;

/** How many seconds of samples are kept for the plots. */
const SECONDS_KEPT = 300;

/** The factor by which a rate decreases in each second without traffic. */
const DECAY = 0.55;

/** How long after the last reported traffic a rate becomes 0, in milliseconds. */
const QUIET_AFTER = 4000;

/**
 * A connection or a UDP flow, open or closed.
 * @typedef {object} Connection
 * @property {number} id
 * @property {string} service
 * @property {string} transport
 * @property {Address} local
 * @property {Address} peer
 * @property {string | null} filter  the Wireshark display filter
 * @property {number} opened  in milliseconds since the epoch
 * @property {number} lastActivity
 * @property {number | null} closed
 * @property {string | null} reason
 * @property {number} bytesIn
 * @property {number} bytesOut
 * @property {number} rate  recent bytes per second, in both directions
 */

/**
 * A service: the SERVICE, and its newest counters.
 * @typedef {ServiceView & Partial<ServiceFigures>} Service
 */

/**
 * The sums over all services.
 * @typedef {{in: number, out: number, accepted: number, closed: number, refused: number}} Sums
 */

/** @typedef {Sums & {time: number}} Sample  rates per second */

/**
 * Return an address as text, with an IPv6 host in brackets.
 * @param {Address} address
 */
function addressText(address) {
  if (address.port === null) return address.host || "unix";
  return `${hostText(address.host)}:${address.port}`;
}

/** @param {string} host */
function hostText(host) {
  return host.includes(":") ? `[${host}]` : host;
}

/**
 * Return a connection in the form of the model.
 * @param {ConnectionStart & Partial<ConnectionEnd>} view  a CONNECTION, or the part of it in an
 *   event
 * @param {string} service
 * @param {number} time  when it was opened, if the view does not contain it
 * @returns {Connection}
 */
function connectionOf(view, service, time) {
  return {
    id: view.id,
    service,
    transport: view.transport,
    local: view.local,
    peer: view.peer,
    filter: view.display_filter ?? null,
    opened: view.opened ? Date.parse(view.opened) : time,
    lastActivity: view.last_activity ? Date.parse(view.last_activity) : time,
    closed: view.closed ? Date.parse(view.closed) : null,
    reason: view.reason ?? null,
    bytesIn: view.bytes_in ?? 0,
    bytesOut: view.bytes_out ?? 0,
    rate: 0,
  };
}

/** The model. */
class Model {
  constructor() {
    /** @type {DaemonView | null} */
    this.daemon = null;
    this.draining = false;
    /** @type {Map<string, Service>} */
    this.services = new Map();
    /** @type {Map<number, Connection>} open connections by number */
    this.open = new Map();
    /** @type {Map<number, Connection>} closed connections, oldest first */
    this.closed = new Map();
    /** @type {Sample[]} */
    this.samples = [];
    this.changes = 0;
    /** @type {Set<number>} the numbers of connections with recent traffic */
    this._busy = new Set();
    /** @type {{now: number, sums: Sums} | null} */
    this._before = null;
    /** @type {Map<number, Connection>} closed, unless the burst lists them as open */
    this._doubtful = new Map();
    /** @type {Map<string, string>} */
    this._places = new Map();
  }

  /**
   * Apply an answer of /stats; return whether it comes from another run of the daemon.
   * @param {StatsView} stats
   */
  describe(stats) {
    const isNew = this.daemon !== null &&
      (this.daemon.pid !== stats.daemon.pid || this.daemon.started !== stats.daemon.started);
    if (isNew) this.forget();
    this.daemon = stats.daemon;
    this.services = new Map(stats.services.map((one) => [one.name, one]));
    this.changes += 1;
    return isNew;
  }

  /** Discard connections and samples: another run of the daemon counts from 0. */
  forget() {
    this.open.clear();
    this.closed.clear();
    this.samples = [];
    this._busy.clear();
    this._doubtful.clear();
    this._before = null;
    this.changes += 1;
  }

  /**
   * Add or update an open connection.
   * @param {Connection} connection
   * @returns {boolean} whether it is new
   */
  enter(connection) {
    if (this.closed.has(connection.id)) return false;
    const known = this.open.get(connection.id) ?? this._doubtful.get(connection.id);
    this.open.set(connection.id, known ?? connection);
    if (known && connection.bytesIn + connection.bytesOut >= known.bytesIn + known.bytesOut) {
      Object.assign(known, connection, { rate: known.rate });
    }
    this.changes += 1;
    return known === undefined;
  }

  /**
   * Mark a connection as closed.
   * @param {Connection} connection
   * @returns {boolean} whether it was not closed already
   */
  end(connection) {
    if (this.closed.has(connection.id)) return false;
    const known = this.open.get(connection.id);
    this.open.delete(connection.id);
    this._busy.delete(connection.id);
    this.closed.set(connection.id, Object.assign(known ?? connection, connection, { rate: 0 }));
    for (const oldest of this.closed.keys()) {
      if (this.closed.size <= CLOSED_KEPT) break;
      this.closed.delete(oldest);
    }
    this.changes += 1;
    return true;
  }

  /**
   * Remove the connections that are not in a complete list of the open ones.
   * @param {Set<number>} listed
   * @param {number} newest  the greatest number at the start of the list; later ones may be missing
   * @param {number} now
   * @returns {Connection[]} the removed connections
   */
  keepOnly(listed, newest, now) {
    const gone = [...this.open.values()].filter((one) => one.id <= newest && !listed.has(one.id));
    for (const one of gone) this.end({ ...one, closed: now, reason: one.reason });
    return gone;
  }

  /**
   * Remove the connections of a burst; those that are still open follow in the same chunk.
   * @param {number} first  the first number
   * @param {number} last
   */
  letPass(first, last) {
    this._doubtful = new Map([...this.open].filter(([id]) => first <= id && id <= last));
    for (const id of this._doubtful.keys()) this.open.delete(id);
    this.changes += 1;
  }

  /** Return the greatest number of an open connection. */
  newest() {
    let newest = 0;
    for (const id of this.open.keys()) newest = Math.max(newest, id);
    return newest;
  }

  /**
   * Apply the byte counts of some connections.
   * @param {{id: number, bytes_in: number, bytes_out: number}[]} figures
   * @param {number} now
   */
  traffic(figures, now) {
    for (const { id, bytes_in: bytesIn, bytes_out: bytesOut } of figures) {
      const one = this.open.get(id);
      if (one === undefined) continue;
      const passed = bytesIn + bytesOut - one.bytesIn - one.bytesOut;
      if (passed <= 0) continue;
      one.bytesIn = bytesIn;
      one.bytesOut = bytesOut;
      one.lastActivity = now;
      one.rate += passed * (1 - DECAY);
      this._busy.add(id);
      this.changes += 1;
    }
  }

  /**
   * Apply the counters of the services, once a second, and add a sample for the plots.
   * @param {(Service | ServiceFigures)[]} services
   * @param {number} now
   * @returns {boolean} whether a service is new, or its state or ports have changed
   */
  figures(services, now) {
    let isOther = services.length !== this.services.size;
    const sums = { in: 0, out: 0, accepted: 0, closed: 0, refused: 0 };
    for (const one of services) {
      const known = this.services.get(one.name);
      isOther ||= known === undefined || known.state !== one.state || isElsewhere(known, one);
      if (known !== undefined) Object.assign(known, one, { listeners: known.listeners });
      sums.in += one.bytes_in;
      sums.out += one.bytes_out;
      sums.accepted += one.opened;
      sums.closed += one.closed;
      sums.refused += one.refused;
    }
    this._sample(sums, now);
    this.changes += 1;
    return isOther;
  }

  /**
   * Apply counters of services without adding a sample.
   * @param {ServiceCounts[]} services
   */
  count(services) {
    for (const one of services) Object.assign(this.services.get(one.name) ?? {}, one);
    this.changes += 1;
  }

  /**
   * Decrease the rates of connections without new traffic; called every second.
   * @param {number} now
   */
  fade(now) {
    for (const id of this._busy) {
      const one = this.open.get(id);
      if (one === undefined) {
        this._busy.delete(id);
        continue;
      }
      one.rate *= DECAY;
      if (now - one.lastActivity >= QUIET_AFTER) {
        one.rate = 0;
        this._busy.delete(id);
      }
    }
    if (this._busy.size) this.changes += 1;
  }

  /**
   * Return the length of a listener's accept queue; null if it is not known.
   * @param {Service} service
   * @param {ServiceListener} listener
   */
  waiting(service, listener) {
    const { waiting } = service;
    return service.listeners.length === 1 && waiting !== undefined ? waiting : listener.waiting;
  }

  /** Return the open connections of each server port, by {@link portKey}. */
  byPort() {
    /** @type {Map<string, Connection[]>} */
    const ports = new Map();
    for (const service of this.services.values()) {
      for (const listener of service.listeners) ports.set(portKey(service.name, listener), []);
    }
    this._places.clear();
    for (const one of this.open.values()) ports.get(this.portOf(one))?.push(one);
    return ports;
  }

  /**
   * Return the server port of a connection, as {@link portKey} does; empty if it no longer exists.
   * @param {Connection} one
   */
  portOf(one) {
    const place = `${one.service} ${one.transport} ${addressText(one.local)}`;
    let key = this._places.get(place);
    if (key === undefined) this._places.set(place, (key = this._findPort(one)));
    return key;
  }

  /** @param {Connection} one */
  _findPort(one) {
    const listeners = (this.services.get(one.service)?.listeners ?? []).filter(
      (listener) =>
        listener.port === one.local.port && listener.transport === one.transport);
    const exact = listeners.find((each) => each.host === one.local.host);
    const family = one.local.host.includes(":") ? "::" : "0.0.0.0";
    const wild = listeners.find((each) => each.host === family);
    const listener = exact ?? wild ?? listeners[0];
    return listener === undefined ? "" : portKey(one.service, listener);
  }

  /**
   * @param {Sums} sums
   * @param {number} now
   */
  _sample(sums, now) {
    const before = this._before;
    const seconds = before === null ? 0 : (now - before.now) / 1000;
    if (before === null || seconds >= 0.8) this._before = { now, sums };
    if (before === null || seconds < 0.8) return;
    const rate = (/** @type {keyof Sums} */ name) =>
      Math.max(0, (sums[name] - before.sums[name]) / seconds);
    this.samples.push({
      time: now, in: rate("in"), out: rate("out"),
      accepted: rate("accepted"), closed: rate("closed"), refused: rate("refused"),
    });
    while (this.samples[0].time < now - SECONDS_KEPT * 1000) this.samples.shift();
  }
}

/**
 * Return whether the ports of a service have changed.
 * @param {Service} known
 * @param {Service | ServiceFigures} figures  from an event, or a SERVICE, which contains its ports
 */
function isElsewhere(known, figures) {
  const ports = known.listeners.map((one) => one.port);
  return figures.ports !== undefined && String(figures.ports) !== String(ports);
}

/**
 * Return the key of a server port.
 * @param {string} service
 * @param {ListenerView} listener
 */
function portKey(service, listener) {
  return `${service} ${listener.transport} ${addressText(listener)}`;
}
