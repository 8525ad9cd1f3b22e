// The phrases of words.js that take arguments: a count, an address, an event. For the type checker
// only; it is not part of the page.

interface ListenerParts {
  transport: string;
  local: string;
  backlog: number | null;
}

interface AcceptParts {
  transport: string;
  peer: string;
  local: string;
}

interface EndParts {
  peer: string;
  local: string;
  why: string;
}

interface CloseParts extends EndParts {
  bytesIn: string;
  bytesOut: string;
}

interface PhrasesWithParts {
  facts(version: string, pid: number, uptime: string): string;
  plotText(title: string, parts: string): string;
  minutesAgo(minutes: number): string;
  copyFilterOf(connection: number): string;
  detailsOf(connection: number): string;
  copied(text: string): string;
  notCopied(text: string): string;
  shown(shown: number, all: number): string;
  open(count: number): string;
  queue(waiting: number | null, backlog: number): string;
  more(count: number): string;
  moreHosts(count: number): string;
  sentence(of: PortCounts): string;
  "log.bind"(e: ListenerParts): string;
  "log.listen"(e: ListenerParts): string;
  "log.accept"(e: AcceptParts): string;
  "log.refuse"(e: EndParts): string;
  "log.close"(e: CloseParts): string;
  "log.burst"(e: { leftOut: string }): string;
  "log.lost"(e: { missed: number }): string;
  announced(accepted: number, closed: number): string;
  connection(number: number): string;
  trafficOf(received: string, sent: string, reads: number, writes: number): string;
  segments(count: number): string;
}

type PhraseName = keyof typeof ENGLISH;

type PhraseParts<Name extends PhraseName> = Name extends PhraseName
  ? (typeof ENGLISH)[Name] extends (...parts: infer Parts) => string ? Parts : []
  : never;

/** The name of a phrase without arguments. */
type PlainName = { [Name in PhraseName]: PhraseParts<Name> extends [] ? Name : never }[PhraseName];

/** All phrases in one language. */
type Phrases = { [Name in PhraseName]: string | ((...parts: PhraseParts<Name>) => string) };

/** The texts of the reasons for an end or a refusal. In English the reason itself is shown. */
type Reasons = Record<`reason.${string}`, string>;
