// A card for each service: its state, its queue, and a picture of each of its ports.

/** The states that a service passes through, by kind of transport. */
/** @type {PlainName[]} */
const STREAM_STEPS = ["bind", "listen", "accepting"];
/** @type {PlainName[]} */
const DATAGRAM_STEPS = ["bind", "receiving"];

/** How many queued clients are drawn one by one. */
const MOST_WAITERS = 12;

/** The number of colours. */
const HUES = 8;

/**
 * Return the command that connects a client to a listener; empty if there is none.
 * @param {ListenerView} listener
 * @param {string} here  the host of the page
 */
function clientCommand(listener, here) {
  if (listener.transport === "unix") return `nc -U ${listener.host}`;
  const host = ["0.0.0.0", "::", ""].includes(listener.host) ? here : listener.host;
  if (listener.transport === "tls") return `openssl s_client ${hostText(host)}:${listener.port}`;
  return `nc ${listener.transport === "udp" ? "-u " : ""}${host} ${listener.port}`;
}

/** All cards. */
class ServiceCards {
  /**
   * @param {Element} place
   * @param {Model} model
   */
  constructor(place, model) {
    this._place = place;
    this._model = model;
    /** @type {Map<string, ServiceCard>} */
    this._cards = new Map();
  }

  /**
   * Return the number of a service's colour.
   * @param {string} name
   */
  hue(name) {
    return Math.max(0, [...this._model.services.keys()].indexOf(name)) % HUES;
  }

  /**
   * Draw the cards.
   * @param {Map<string, Connection[]>} fading  closed connections that are still visible, by port
   * @param {Words} words
   */
  draw(fading, words) {
    const ports = this._model.byPort();
    const services = [...this._model.services.values()];
    for (const [key, card] of this._cards) {
      if (services.some((one) => cardKey(one) === key)) continue;
      card.root.remove();
      this._cards.delete(key);
    }
    services.forEach((service, place) => {
      const card = this._card(service);
      if (this._place.children[place] !== card.root) {
        this._place.insertBefore(card.root, this._place.children[place] ?? null);
      }
      set(card.root, { class: `service hue-${this.hue(service.name)}` });
      card.draw(service, this._model, ports, fading, words);
    });
  }

  /** @param {Service} service */
  _card(service) {
    const key = cardKey(service);
    let card = this._cards.get(key);
    if (card === undefined) this._cards.set(key, (card = new ServiceCard(service)));
    return card;
  }
}

/**
 * Return the key of a card: a changed set of listeners needs a new card.
 * @param {Service} service
 */
function cardKey(service) {
  return [service.name, ...service.listeners.map(addressText)].join(" ");
}

/** One card. */
class ServiceCard {
  /** @param {Service} service */
  constructor(service) {
    this._kind = element("p", { class: "kind" });
    this._open = element("p", { class: "figures" });
    this._life = element("ol", { class: "life" });
    const title = element("h3", {}, service.name);
    this.root = element("article", {},
      element("div", { class: "title" }, title, this._kind, this._open), this._life);
    this._ports = service.listeners.map((one) => new PortView(service, one));
    this.root.append(...this._ports.map((one) => one.root));
    this._shownLife = "";
  }

  /**
   * @param {Service} service
   * @param {Model} model
   * @param {Map<string, Connection[]>} ports
   * @param {Map<string, Connection[]>} fading
   * @param {Words} words
   */
  draw(service, model, ports, fading, words) {
    write(this._kind, `${service.kind} · ${service.reply}`);
    write(this._open, words.say("open", service.active));
    this._drawLife(service, words);
    this._ports.forEach((port, place) => {
      const waiting = model.waiting(service, service.listeners[place]);
      port.draw(ports.get(port.key) ?? [], fading.get(port.key) ?? [], waiting, words);
    });
  }

  /**
   * @param {Service} service
   * @param {Words} words
   */
  _drawLife(service, words) {
    const { state } = service;
    const isUp = state === "listening" || state === "paused";
    const isUdp = service.listeners.some((one) => one.transport === "udp");
    const steps = isUdp || service.kind === "udp" ? DATAGRAM_STEPS : STREAM_STEPS;
    const labels = isUp ? steps.map((step) => words.say(step)) : [words.say(state)];
    if (state === "paused") labels[labels.length - 1] = words.say("full");
    const last = state === "paused" ? "full" : state === "listening" ? "now" : state;
    const wanted = labels.map((label, place) => `${place < labels.length - 1 ? "done" : last} ${label}`);
    if (this._shownLife === wanted.join()) return;
    this._shownLife = wanted.join();
    this._life.replaceChildren(...labels.map((label, place) => element(
      "li", { class: place < labels.length - 1 ? "done" : last },
      element("span", { class: "step" }, label))));
  }
}

/** A server port: its queue, its picture and a sentence. */
class PortView {
  /**
   * @param {Service} service
   * @param {ServiceListener} listener
   */
  constructor(service, listener) {
    this.key = portKey(service.name, listener);
    this.listener = listener;
    this._picture = new Picture(listener);
    this._queue = element("p", { class: "queue" });
    this._sentence = element("p", { class: "sentence" });
    this._clients = element("span");
    this._server = element("span");
    this.root = element("div", { class: "port" },
      element("div", { class: "ends" }, this._clients, this._server),
      this._picture.svg, this._sentence);
    if (listener.backlog !== null) this.root.append(this._queue);
  }

  /**
   * @param {Connection[]} connections
   * @param {Connection[]} closing
   * @param {number | null} waiting
   * @param {Words} words
   */
  draw(connections, closing, waiting, words) {
    const { transport, port } = this.listener;
    const isUnix = port === null;
    const sentence = isUnix ? words.say("unixSentence")
      : words.say("sentence", portCounts(transport, port, connections));
    write(this._clients, words.say(isUnix ? "clients" : "clientPorts"));
    write(this._server, words.say(isUnix ? "serverPath" : "serverPort"));
    write(this._sentence, sentence);
    if (this.listener.backlog !== null) this._drawQueue(waiting, this.listener.backlog, words);
    const width = Math.floor(this.root.clientWidth) || 320;
    const invitation = clientCommand(this.listener, location.hostname || "127.0.0.1");
    this._picture.draw(pictureRows(connections, closing, words), width, sentence, invitation, words);
  }

  /**
   * @param {number | null} waiting
   * @param {number} backlog
   * @param {Words} words
   */
  _drawQueue(waiting, backlog, words) {
    const text = words.say("queue", waiting, backlog);
    if (this._queue.textContent === text) return;
    const waiters = element("span", { class: "waiters", "aria-hidden": "true" });
    for (let place = 0; place < Math.min(waiting ?? 0, MOST_WAITERS); place += 1) {
      waiters.append(element("i"));
    }
    this._queue.classList.toggle("busy", Boolean(waiting));
    this._queue.replaceChildren(...(waiting ? [waiters] : []), text);
  }
}
