// The JSON of the stats endpoint, as docs/interfaces.md describes it. Times are RFC 3339 in UTC,
// durations seconds, sizes bytes. For the type checker only; it is not part of the page.

/** An address; a unix socket has a path and no port. */
interface Address {
  host: string;
  port: number | null;
}

type Transport = "tcp" | "udp" | "unix" | "tls";
type ServiceState = "listening" | "paused" | "stopped" | "failed";

/** A listener in an event. */
interface ListenerView extends Address {
  transport: Transport;
  /** `null` for UDP, which has no accept queue. */
  backlog: number | null;
}

/** A listener of a SERVICE. */
interface ServiceListener extends ListenerView {
  /** The length of the accept queue; `null` if it is not known. */
  waiting: number | null;
}

interface Counters {
  active: number;
  opened: number;
  closed: number;
  refused: number;
}

interface TrafficCounters extends Counters {
  bytes_in: number;
  bytes_out: number;
  reads: number;
  writes: number;
  errors: number;
}

/** SERVICE. */
interface ServiceView extends TrafficCounters {
  name: string;
  kind: string;
  reply: string;
  state: ServiceState;
  listeners: ServiceListener[];
  ends: Record<string, number>;
  refusals: Record<string, number>;
}

interface DaemonView {
  name: string;
  version: string;
  pid: number;
  started: string;
  uptime: number;
  reactor: string;
}

/** The answer of /stats. */
interface StatsView {
  daemon: DaemonView;
  services: ServiceView[];
  totals: TrafficCounters;
  /** The id of the newest event that the counters include. */
  event_id: string;
}

/** The members of a CONNECTION that never change: those of `accept`. */
interface ConnectionStart {
  id: number;
  transport: Transport;
  local: Address;
  peer: Address;
  /** The balancer that relays the connection. */
  via: Address | null;
  /** `null` for unix sockets. */
  display_filter: string | null;
}

/** A CONNECTION without `tcp`: the members of `close`. */
interface ConnectionEnd extends ConnectionStart {
  service: string;
  kind: string;
  state: "open" | "closed";
  opened: string;
  last_activity: string;
  closed: string | null;
  reason: string | null;
  bytes_in: number;
  bytes_out: number;
  reads: number;
  writes: number;
}

/** CONNECTION. */
interface ConnectionView extends ConnectionEnd {
  tcp: TcpView | null;
}

/** The kernel's TCP_INFO of a connection. */
interface TcpView {
  state: string;
  rtt: number;
  rttvar: number;
  retransmits: number;
  mss: number;
  cwnd: number;
  unacked: number;
}

/** The answer of /connections. */
interface ConnectionsView {
  connections: ConnectionView[];
  /** The `after` of the next page. */
  next: number | null;
}

/** A service in `totals`. */
interface ServiceFigures extends Counters {
  name: string;
  state: ServiceState;
  /** The ports of its listeners, in order. */
  ports: (number | null)[];
  waiting: number | null;
  bytes_in: number;
  bytes_out: number;
}

/** A service in `burst`. */
interface ServiceCounts extends Counters {
  name: string;
}

/** A connection in `totals`. */
interface ConnectionFigures {
  id: number;
  bytes_in: number;
  bytes_out: number;
}

interface EventData {
  time: string;
}

interface ServiceEventData extends EventData {
  service: string;
}

/** The first event of a stream. */
interface HelloData {
  id: string;
  resumed: boolean;
  name: string;
  started: string;
}

/** The data of the events after `hello`. */
interface DataByWord {
  bind: ServiceEventData & { listener: ListenerView };
  listen: ServiceEventData & { listener: ListenerView };
  accept: ServiceEventData & { connection: ConnectionStart };
  refuse: ServiceEventData & { listener: ListenerView; peer: Address; reason: string };
  close: ServiceEventData & { connection: ConnectionEnd; reason: string };
  totals: EventData & {
    draining: boolean;
    services: ServiceFigures[];
    connections: ConnectionFigures[];
  };
  burst: EventData & {
    left_out: number;
    closed: number[];
    brief: [number, number] | null;
    services: ServiceCounts[];
  };
  lost: { missed: number | null };
}

type EventWord = keyof DataByWord;

/** One of these events, with its data. */
type DaemonEvent = { [Word in EventWord]: { word: Word; data: DataByWord[Word] } }[EventWord];
