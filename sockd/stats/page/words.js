// The texts of the page, in English and in Brazilian Portuguese.

/**
 * Return a number with its noun, in the language of the noun.
 * @param {Intl.NumberFormat} format
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
function counted(format, count, one, many) {
  return `${format.format(count)} ${count === 1 ? one : many}`;
}

const ENGLISH_NUMBER = new Intl.NumberFormat("en");
const PORTUGUESE_NUMBER = new Intl.NumberFormat("pt-BR");

/** @satisfies {PhrasesWithParts & Record<string, unknown>} */
const ENGLISH = {
  skip: "Skip to the connections",
  switchLanguage: "Mudar para português",
  languageName: "Português",
  themeDark: "Dark",
  themeLight: "Light",
  live: "Live",
  starting: "Connecting",
  polling: "Polling",
  resting: "Resting",
  gone: "Daemon not reachable; retrying",
  draining: "The daemon is shutting down",
  pollingNotice:
    "Live events do not arrive; a proxy may block them. " +
    "The page polls every few seconds instead and misses short connections.",
  goneNotice: "The daemon does not answer. The page reconnects automatically.",
  facts: (version, pid, uptime) => `version ${version} · process ${pid} · up ${uptime}`,
  portsTitle: "Services and their ports",
  connectionsTitle: "Connections",
  plotsTitle: "The last five minutes",
  logTitle: "Events",
  throughput: "Throughput",
  rate: "Connections per second",
  received: "in",
  sent: "out",
  accepted: "accepted",
  closed: "closed",
  refused: "refused",
  plotText: (title, parts) => `${title}, now: ${parts}`,
  minutesAgo: (minutes) => `${minutes} min ago`,
  now: "now",
  service: "Service",
  peer: "Client",
  peerExample: "127.0.0.1 or :50988",
  state: "State",
  stateOpen: "open",
  stateOneOpen: "open",
  stateOneClosed: "closed",
  stateClosed: "closed",
  stateAll: "all",
  allServices: "all",
  number: "No.",
  local: "Server",
  age: "Age",
  bytesIn: "In",
  bytesOut: "Out",
  actions: "Actions",
  copyFilter: "Copy filter",
  copyFilterOf: (number) => `Copy the Wireshark filter of connection ${number}`,
  details: "Details",
  detailsOf: (number) => `Details of connection ${number}`,
  copied: (text) => `Copied: ${text}`,
  notCopied: (text) => `Copy manually: ${text}`,
  close: "Close",
  noConnections: "No matching connections.",
  nobody: "No clients are connected.",
  shown: (shown, all) =>
    shown === all ? ENGLISH_NUMBER.format(all)
      : `${ENGLISH_NUMBER.format(shown)} of ${ENGLISH_NUMBER.format(all)}`,
  serverPort: "the server’s port",
  serverPath: "the server’s path",
  clientPorts: "the clients’ ports",
  clients: "the clients",
  tryThis: "Connect from a terminal:",
  open: (count) => `${ENGLISH_NUMBER.format(count)} open`,
  bind: "bind",
  listen: "listen",
  accepting: "accepting",
  receiving: "receiving",
  full: "full: clients are queued",
  stopped: "stopped",
  failed: "failed",
  queue: (waiting, backlog) =>
    waiting === null ? "Queue length unknown on this system"
      : waiting === 0 ? `Queue empty, room for ${ENGLISH_NUMBER.format(backlog)}`
        : `${counted(ENGLISH_NUMBER, waiting, "client waits", "clients wait")} in the queue, ` +
          "connected by the kernel and not accepted yet",
  more: (count) => `and ${ENGLISH_NUMBER.format(count)} more`,
  moreHosts: (count) => `on ${counted(ENGLISH_NUMBER, count, "more host", "more hosts")}`,
  sentence: englishSentence,
  unixSentence: "A unix socket has a path instead of a port; its clients have neither.",
  "log.bind": (e) => `Bind ${e.transport} ${e.local}`,
  "log.listen": (e) => `Listen on ${e.local}, backlog ${e.backlog}`,
  "log.accept": (e) =>
    `${e.transport === "udp" ? "First datagram from" : "Connected by"} ${e.peer} on ${e.local}`,
  "log.refuse": (e) => `Refused ${e.peer} on ${e.local}: ${e.why}`,
  "log.close": (e) =>
    `Closed ${e.peer} on ${e.local}: ${e.why}, ${e.bytesIn} bytes in, ${e.bytesOut} out`,
  "log.burst": (e) => `${e.leftOut} more events, too many to list one by one`,
  "log.lost": (e) => `${e.missed} events missed while the page was disconnected`,
  "log.gone": "The daemon does not answer",
  "log.back": "The daemon answers again",
  "log.restarted": "The daemon was restarted; all connections are new",
  pause: "Pause",
  resume: "Resume",
  announced: (accepted, closed) =>
    [
      accepted ? `${ENGLISH_NUMBER.format(accepted)} connected` : "",
      closed ? `${ENGLISH_NUMBER.format(closed)} closed` : "",
    ].filter(Boolean).join(", "),
  connection: (number) => `Connection ${number}`,
  client: "client",
  server: "server",
  changes: "different each time",
  stays: "the same for all",
  via: "relayed by",
  opened: "opened",
  lastActivity: "last activity",
  closedAt: "closed",
  reason: "reason",
  noReason: "unknown reason",
  traffic: "traffic",
  trafficOf: (received, sent, reads, writes) =>
    `${received} in (${counted(ENGLISH_NUMBER, reads, "read", "reads")}), ` +
    `${sent} out (${counted(ENGLISH_NUMBER, writes, "write", "writes")})`,
  kernelTitle: "TCP information from the kernel",
  kernelNothing: "Not available: the connection is closed or not TCP, or the system does not report it.",
  forgotten: "This connection is no longer in the history.",
  unreachable: "The daemon does not answer.",
  wireshark: "Wireshark",
  copy: "Copy",
  "tcp.state": "state",
  "tcp.rtt": "round trip",
  "tcp.rttvar": "round trip variation",
  "tcp.retransmits": "retransmitted",
  "tcp.mss": "maximum segment size",
  "tcp.cwnd": "congestion window",
  "tcp.unacked": "unacknowledged",
  segments: (count) => counted(ENGLISH_NUMBER, count, "segment", "segments"),
};

/** @type {typeof ENGLISH & Reasons} */
const PORTUGUESE = {
  skip: "Ir para as conexões",
  switchLanguage: "Switch to English",
  languageName: "English",
  themeDark: "Escuro",
  themeLight: "Claro",
  live: "Ao vivo",
  starting: "Conectando",
  polling: "Consultando",
  resting: "Em repouso",
  gone: "Servidor inacessível; tentando novamente",
  draining: "O servidor está encerrando",
  pollingNotice:
    "Os eventos ao vivo não chegam; talvez um proxy os bloqueie. " +
    "A página consulta o servidor a cada poucos segundos e não mostra conexões curtas.",
  goneNotice: "O servidor não responde. A página se reconecta automaticamente.",
  facts: (version, pid, uptime) => `versão ${version} · processo ${pid} · no ar há ${uptime}`,
  portsTitle: "Os serviços e suas portas",
  connectionsTitle: "Conexões",
  plotsTitle: "Os últimos cinco minutos",
  logTitle: "Eventos",
  throughput: "Vazão",
  rate: "Conexões por segundo",
  received: "entrada",
  sent: "saída",
  accepted: "aceitas",
  closed: "fechadas",
  refused: "recusadas",
  plotText: (title, parts) => `${title}, agora: ${parts}`,
  minutesAgo: (minutes) => `há ${minutes} min`,
  now: "agora",
  service: "Serviço",
  peer: "Cliente",
  peerExample: "127.0.0.1 ou :50988",
  state: "Estado",
  stateOpen: "abertas",
  stateOneOpen: "aberta",
  stateOneClosed: "fechada",
  stateClosed: "fechadas",
  stateAll: "todas",
  allServices: "todos",
  number: "Nº",
  local: "Servidor",
  age: "Duração",
  bytesIn: "Entrada",
  bytesOut: "Saída",
  actions: "Ações",
  copyFilter: "Copiar filtro",
  copyFilterOf: (number) => `Copiar o filtro do Wireshark da conexão ${number}`,
  details: "Detalhes",
  detailsOf: (number) => `Detalhes da conexão ${number}`,
  copied: (text) => `Copiado: ${text}`,
  notCopied: (text) => `Copie manualmente: ${text}`,
  close: "Fechar",
  noConnections: "Nenhuma conexão encontrada.",
  nobody: "Nenhum cliente conectado.",
  shown: (shown, all) =>
    shown === all ? PORTUGUESE_NUMBER.format(all)
      : `${PORTUGUESE_NUMBER.format(shown)} de ${PORTUGUESE_NUMBER.format(all)}`,
  serverPort: "a porta do servidor",
  serverPath: "o caminho do servidor",
  clientPorts: "as portas dos clientes",
  clients: "os clientes",
  tryThis: "Conecte-se por um terminal:",
  open: (count) => counted(PORTUGUESE_NUMBER, count, "aberta", "abertas"),
  bind: "bind",
  listen: "listen",
  accepting: "aceitando",
  receiving: "recebendo",
  full: "cheio: clientes na fila",
  stopped: "parado",
  failed: "falhou",
  queue: (waiting, backlog) =>
    waiting === null ? "Tamanho da fila desconhecido neste sistema"
      : waiting === 0 ? `Fila vazia, cabem ${PORTUGUESE_NUMBER.format(backlog)}`
        : `${counted(PORTUGUESE_NUMBER, waiting, "cliente espera", "clientes esperam")} na fila: ` +
          "o kernel já conectou, o programa ainda não chamou accept",
  more: (count) => `e mais ${PORTUGUESE_NUMBER.format(count)}`,
  moreHosts: (count) => `em mais ${counted(PORTUGUESE_NUMBER, count, "host", "hosts")}`,
  sentence: portugueseSentence,
  unixSentence:
    "Um socket unix tem um caminho em vez de porta; seus clientes não têm nenhum dos dois.",
  "log.bind": (e) => `Bind ${e.transport} ${e.local}`,
  "log.listen": (e) => `Listen em ${e.local}, backlog ${e.backlog}`,
  "log.accept": (e) =>
    `${e.transport === "udp" ? "Primeiro datagrama de" : "Conexão de"} ${e.peer} em ${e.local}`,
  "log.refuse": (e) => `Recusada ${e.peer} em ${e.local}: ${e.why}`,
  "log.close": (e) =>
    `Fechada ${e.peer} em ${e.local}: ${e.why}, ` +
    `${e.bytesIn} bytes de entrada, ${e.bytesOut} de saída`,
  "log.burst": (e) => `Mais ${e.leftOut} eventos, numerosos demais para listar um a um`,
  "log.lost": (e) => `${e.missed} eventos perdidos enquanto a página estava desconectada`,
  "log.gone": "O servidor não responde",
  "log.back": "O servidor voltou a responder",
  "log.restarted": "O servidor foi reiniciado; todas as conexões são novas",
  "reason.eof": "o cliente terminou (eof)",
  "reason.reset": "interrompida (reset)",
  "reason.replies": "número de respostas atingido",
  "reason.idle": "inativa por tempo demais",
  "reason.disconnect": "desconectada pelo administrador",
  "reason.stop": "o serviço parou",
  "reason.evicted": "deu lugar a outra",
  "reason.error": "erro",
  "reason.lifetime": "tempo de vida esgotado",
  "reason.max_bytes": "limite de bytes atingido",
  "reason.full": "cheio",
  "reason.denied": "endereço não permitido",
  "reason.per_source": "conexões demais desse endereço",
  "reason.connect_rate": "conexões frequentes demais desse endereço",
  "reason.total_rate": "conexões frequentes demais no total",
  "reason.proxy_header": "cabeçalho PROXY errado ou ausente",
  "reason.proxy_timeout": "o cabeçalho PROXY demorou demais",
  "reason.source_packets": "datagramas demais desse endereço",
  "reason.source_bytes": "bytes demais desse endereço",
  "reason.total_packets": "datagramas demais no total",
  "reason.total_bytes": "bytes demais no total",
  "reason.broadcast": "broadcast ou multicast",
  "reason.port_zero": "porta zero",
  "reason.own_port": "porta do próprio servidor",
  "reason.reflector": "porta de refletor conhecido",
  "reason.amplifies": "resposta maior que a pergunta",
  pause: "Pausar",
  resume: "Continuar",
  announced: (accepted, closed) =>
    [
      accepted ? counted(PORTUGUESE_NUMBER, accepted, "nova conexão", "novas conexões") : "",
      closed ? counted(PORTUGUESE_NUMBER, closed, "fechada", "fechadas") : "",
    ].filter(Boolean).join(", "),
  connection: (number) => `Conexão ${number}`,
  client: "cliente",
  server: "servidor",
  changes: "diferente a cada conexão",
  stays: "a mesma para todas",
  via: "encaminhada por",
  opened: "aberta",
  lastActivity: "última atividade",
  closedAt: "fechada",
  reason: "motivo",
  noReason: "motivo desconhecido",
  traffic: "tráfego",
  trafficOf: (received, sent, reads, writes) =>
    `entrada ${received} (${counted(PORTUGUESE_NUMBER, reads, "leitura", "leituras")}), ` +
    `saída ${sent} (${counted(PORTUGUESE_NUMBER, writes, "escrita", "escritas")})`,
  kernelTitle: "Informações TCP do kernel",
  kernelNothing: "Não disponível: a conexão está fechada, não é TCP ou o sistema não informa.",
  forgotten: "Esta conexão não está mais no histórico.",
  unreachable: "O servidor não responde.",
  wireshark: "Wireshark",
  copy: "Copiar",
  "tcp.state": "estado",
  "tcp.rtt": "ida e volta",
  "tcp.rttvar": "variação do tempo de ida e volta",
  "tcp.retransmits": "retransmitidos",
  "tcp.mss": "tamanho máximo de segmento",
  "tcp.cwnd": "janela de congestionamento",
  "tcp.unacked": "ainda não confirmados",
  segments: (count) => counted(PORTUGUESE_NUMBER, count, "segmento", "segmentos"),
};

/**
 * The counts for one server port.
 * @typedef {object} PortCounts
 * @property {boolean} isUdp
 * @property {number} port
 * @property {number} connections
 * @property {number} clients  different pairs of host and port
 * @property {number} hosts
 * @property {number} ports  different port numbers
 * @property {number | null} onlyPort  the client's port if there is one client
 */

/** @param {PortCounts} of */
function englishSentence(of) {
  const sort = of.isUdp ? "flow" : "connection";
  if (of.connections === 0) {
    return `No clients are connected; the server’s port is ${of.port}.`;
  }
  if (of.connections === 1) {
    return `One ${sort}: the server’s port is ${of.port}, the client’s is ${of.onlyPort}.`;
  }
  const all = counted(ENGLISH_NUMBER, of.connections, sort, `${sort}s`);
  const clients = ENGLISH_NUMBER.format(of.clients);
  const where = of.ports === of.clients ? ""
    : ` on ${counted(ENGLISH_NUMBER, of.hosts, "host", "hosts")}`;
  const rest = of.clients === 1 ? "it is one client with one port"
    : of.ports === 1 ? `the ${clients} clients have one port${where}`
      : `the ${clients} clients have ${ENGLISH_NUMBER.format(of.ports)} different ports${where}`;
  return `One server port, ${of.port}, for all ${all}; ${rest}.`;
}

/** @param {PortCounts} of */
function portugueseSentence(of) {
  if (of.connections === 0) {
    return `Nenhum cliente conectado; a porta do servidor é ${of.port}.`;
  }
  if (of.connections === 1) {
    const one = of.isUdp ? "Um fluxo" : "Uma conexão";
    return `${one}: a porta do servidor é ${of.port}, a do cliente é ${of.onlyPort}.`;
  }
  const number = PORTUGUESE_NUMBER.format(of.connections);
  const all = of.isUdp ? `todos os ${number} fluxos` : `todas as ${number} conexões`;
  const clients = PORTUGUESE_NUMBER.format(of.clients);
  const where = of.ports === of.clients ? ""
    : ` em ${counted(PORTUGUESE_NUMBER, of.hosts, "host", "hosts")}`;
  const rest = of.clients === 1 ? "é um só cliente, com uma só porta"
    : of.ports === 1 ? `os ${clients} clientes têm a mesma porta${where}`
      : `os ${clients} clientes têm ${PORTUGUESE_NUMBER.format(of.ports)} portas diferentes${where}`;
  return `Uma única porta no servidor, ${of.port}, para ${all}; ${rest}.`;
}

/** The language of the page, and its format of numbers and times. */
class Words {
  /** @param {string} language  a tag such as "pt-BR" */
  constructor(language) {
    this.isPortuguese = language.toLowerCase().startsWith("pt");
    this.language = this.isPortuguese ? "pt-BR" : "en";
    /** @type {Phrases} */
    this._words = this.isPortuguese ? PORTUGUESE : ENGLISH;
    /** @type {Partial<Reasons>} */
    this._reasons = this.isPortuguese ? PORTUGUESE : {};
    /** @type {Map<string, unknown>} */
    this._byName = new Map(Object.entries(this._words));
    this._number = this.isPortuguese ? PORTUGUESE_NUMBER : ENGLISH_NUMBER;
    this._tenth = new Intl.NumberFormat(this.language, { maximumFractionDigits: 1 });
    this._clock = new Intl.DateTimeFormat(this.language, {
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    });
  }

  /**
   * Return a phrase.
   * @template {PhraseName} Name
   * @param {Name} name
   * @param {PhraseParts<Name>} parts
   * @returns {string}
   */
  say(name, ...parts) {
    const phrase = this._words[name];
    return typeof phrase === "string" ? phrase : phrase(...parts);
  }

  /**
   * Return a phrase without parts by a name from the document; the name itself if there is none.
   * @param {string} name
   */
  named(name) {
    const phrase = this._byName.get(name);
    return typeof phrase === "string" ? phrase : name;
  }

  /**
   * Return the text for the end or refusal of a connection; the reason itself if there is none.
   * @param {string | null} reason  `null` if the page does not know it
   */
  reason(reason) {
    if (reason === null) return this.say("noReason");
    return this._reasons[`reason.${reason}`] ?? reason;
  }

  /** @param {number} value */
  number(value) {
    return this._number.format(value);
  }

  /** @param {number} size  in bytes */
  bytes(size) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (size >= 1024 && unit < units.length - 1) {
      size /= 1024;
      unit += 1;
    }
    return `${(size < 10 && unit ? this._tenth : this._number).format(unit && size < 10 ? size : Math.round(size))} ${units[unit]}`;
  }

  /** @param {number} seconds */
  duration(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
    return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
  }

  /** @param {number} seconds  a short time, such as a round trip */
  brief(seconds) {
    return seconds < 0.001 ? `${this.number(Math.round(seconds * 1e6))} µs`
      : `${this._tenth.format(seconds * 1000)} ms`;
  }

  /** @param {number} time  in milliseconds since the epoch */
  time(time) {
    return this._clock.format(time);
  }
}
