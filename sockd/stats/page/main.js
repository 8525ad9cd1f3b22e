// The page: the link updates the model, and the page draws it when it has changed.

/** The drawing interval in milliseconds, with few connections and with many. */
const DRAW_EVERY = 120;
const DRAW_EVERY_OF_MANY = 500;
const MANY = 500;

/**
 * Return a stored setting; the browser may block storage.
 * @param {string} name
 */
function remembered(name) {
  try {
    return localStorage.getItem(`sockd.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
function remember(name, value) {
  try {
    localStorage.setItem(`sockd.${name}`, value);
  } catch {
    // The setting then lasts for this visit only.
  }
}

/** The page. */
class Page {
  constructor() {
    this.model = new Model();
    this._words = new Words(remembered("language") ?? navigator.language);
    this._cards = new ServiceCards(byId("services"), this.model);
    const hue = (/** @type {string} */ name) => this._cards.hue(name);
    this._table = new ConnectionTable(this.model, hue, (action, one) => this._act(action, one));
    this._log = new Log(byId("log"), byId("announcer"), hue);
    this._plots = [
      new Plot(byId("throughput"), "throughput", THROUGHPUT, 1024),
      new Plot(byId("rate"), "rate", RATES, 10),
    ];
    this._dialog = partById("details", HTMLDialogElement);
    this._details = new Details(this._dialog, (text) => this._copy(text));
    this._filters = {
      service: partById("filter-service", HTMLSelectElement),
      peer: partById("filter-peer", HTMLInputElement),
      state: partById("filter-state", HTMLSelectElement),
    };
    /** @type {Connection[]} closed connections that are fading */
    this._fading = [];
    /** @type {LinkState} */
    this._link = "starting";
    this._drawn = -1;
    this._drawnAt = 0;
    this._sampledAt = 0;
    this._toastTimer = 0;
  }

  /** Start the page. */
  start() {
    this._chooseTheme(remembered("theme"));
    this._translate();
    this._listen();
    new Link(this).start();
    window.setInterval(() => this._second(), 1000);
    const frame = () => {
      this._drawIfDue();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  /** @param {LinkState} state */
  linked(state) {
    if (state === "gone") this._tellOfDaemon((words) => words.say("log.gone"));
    if (this._link === "gone") this._tellOfDaemon((words) => words.say("log.back"));
    this._link = state;
    this._log.hush();
    this._showLink();
  }

  /** @param {StatsView} stats */
  described(stats) {
    const isNew = this.model.describe(stats);
    if (isNew) {
      this._fading = [];
      this._tellOfDaemon((words) => words.say("log.restarted"));
    }
    this._figures(stats.services, Date.now());
    this._fillServices();
  }

  newest() {
    return this.model.newest();
  }

  /** @param {ConnectionView[]} views */
  listed(views) {
    const isPolling = this._link === "polling";
    for (const view of views) {
      const one = connectionOf(view, view.service, Date.now());
      if (this.model.enter(one) && isPolling) this._tellConnection("accept", one);
    }
  }

  /**
   * @param {Set<number>} ids
   * @param {number} newest
   */
  complete(ids, newest) {
    for (const one of this.model.keepOnly(ids, newest, Date.now())) {
      this._fade(one);
      if (this._link === "polling") this._tellConnection("close", one);
    }
  }

  /** @param {DaemonEvent} event */
  told(event) {
    switch (event.word) {
      case "accept":
      case "close":
        this._toldConnection(event.word, event.data);
        break;
      case "totals":
        this._totals(event.data);
        break;
      case "burst":
        this._burst(event.data);
        break;
      case "lost":
        this._lost(event.data.missed);
        break;
      default:
        this._tell(Date.parse(event.data.time), event.data.service, null, listenerText(event));
        if (event.word === "bind") this._describeAgain();
    }
  }

  /**
   * @param {"accept" | "close"} word
   * @param {DataByWord["accept" | "close"]} data
   */
  _toldConnection(word, data) {
    const one = connectionOf(data.connection, data.service, Date.parse(data.time));
    if (word === "accept") {
      this.model.enter(one);
    } else if (this.model.end(one)) {
      this._fade(one);
    }
    this._tellConnection(word, one);
  }

  /** @param {DataByWord["burst"]} data */
  _burst(data) {
    const time = Date.parse(data.time);
    for (const id of data.closed) {
      const one = this.model.open.get(id);
      if (one !== undefined && this.model.end({ ...one, closed: time })) this._fade(one);
    }
    if (data.brief) this.model.letPass(data.brief[0], data.brief[1]);
    this.model.count(data.services);
    const { left_out: leftOut } = data;
    this._tell(time, "", null,
      (words) => words.say("log.burst", { leftOut: words.number(leftOut) }));
  }

  /** @param {number | null} missed */
  _lost(missed) {
    if (missed !== null) this._tellOfDaemon((words) => words.say("log.lost", { missed }));
  }

  /** @param {DataByWord["totals"]} data */
  _totals(data) {
    const now = Date.now();
    this.model.traffic(data.connections, now);
    this.model.draining = data.draining;
    const isOther = this._figures(data.services, now);
    if (isOther) this._describeAgain();
    this._showLink();
  }

  /**
   * @param {(Service | ServiceFigures)[]} services
   * @param {number} now
   */
  _figures(services, now) {
    this._sampledAt = now;
    return this.model.figures(services, now);
  }

  /** Request the listeners of the services, which events do not contain. */
  async _describeAgain() {
    try {
      this.described(await askStats());
    } catch {
      // The link notices this too.
    }
  }

  /** @param {Connection} one */
  _fade(one) {
    this._fading.push({ ...one, closed: Date.now() });
    if (this._fading.length > MOST_DRAWN) this._fading.shift();
  }

  /**
   * @param {"accept" | "close"} word
   * @param {Connection} one
   */
  _tellConnection(word, one) {
    const time = (word === "close" ? one.closed : one.opened) ?? Date.now();
    this._log.count(word);
    this._tell(time, one.service, one.id, word === "accept" ? acceptText(one) : closeText(one));
  }

  /** @param {(words: Words) => string} text */
  _tellOfDaemon(text) {
    this._tell(Date.now(), "", null, text);
  }

  /**
   * @param {number} time
   * @param {string} service
   * @param {number | null} number
   * @param {(words: Words) => string} text
   */
  _tell(time, service, number, text) {
    this._log.add({ time, service, number, text });
    this.model.changes += 1;
  }

  _second() {
    const now = Date.now();
    if (now - this._sampledAt > 1500 && this._link === "live") {
      this._figures([...this.model.services.values()], now);
    }
    this.model.fade(now);
    this._drawPlots(now);
    this._log.announce(this._words, now);
    this._showFacts(now);
    this.model.changes += 1;
  }

  /** @param {number} now */
  _drawPlots(now) {
    for (const plot of this._plots) plot.draw(this.model.samples, now, this._words);
  }

  _drawIfDue() {
    const now = Date.now();
    const pause = this.model.open.size > MANY ? DRAW_EVERY_OF_MANY : DRAW_EVERY;
    const isFading = this._fading.length > 0;
    if (now - this._drawnAt < pause || (this.model.changes === this._drawn && !isFading)) return;
    this._drawn = this.model.changes;
    this._drawnAt = now;
    this._fading = this._fading.filter((one) => now - (one.closed ?? 0) < FADING);
    this._cards.draw(this._fadingByPort(), this._words);
    this._table.draw(this._filter(), this._words, now);
    this._log.draw(this._words);
  }

  _fadingByPort() {
    /** @type {Map<string, Connection[]>} */
    const ports = new Map();
    for (const one of this._fading) {
      const key = this.model.portOf(one);
      ports.set(key, [...(ports.get(key) ?? []), one]);
    }
    return ports;
  }

  _filter() {
    const { service, peer, state } = this._filters;
    return { service: service.value, peer: peer.value, state: state.value };
  }

  _listen() {
    byId("language").addEventListener("click", () => this._switchLanguage());
    byId("theme").addEventListener("click", () => this._switchTheme());
    byId("log-pause").addEventListener("click", () => this._pauseLog());
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("input", () => this._filterChanged());
    window.addEventListener("resize", () => {
      this._drawPlots(Date.now());
      this.model.changes += 1;
    });
  }

  _filterChanged() {
    byId("scroller").scrollTop = 0;
    this._drawnAt = 0;
    this.model.changes += 1;
  }

  _switchLanguage() {
    this._words = new Words(this._words.isPortuguese ? "en" : "pt-BR");
    remember("language", this._words.language);
    this._translate();
  }

  _translate() {
    const words = this._words;
    document.documentElement.lang = words.language;
    for (const [attribute, target] of [
      ["data-word", ""], ["data-word-label", "aria-label"], ["data-word-placeholder", "placeholder"],
    ]) {
      for (const one of document.querySelectorAll(`[${attribute}]`)) {
        const text = words.named(one.getAttribute(attribute) ?? "");
        if (target) one.setAttribute(target, text);
        else write(one, text);
      }
    }
    write(byId("language"), words.say("languageName"));
    set(byId("language"), { lang: words.isPortuguese ? "en" : "pt-BR" });
    this._showTheme();
    this._showPause();
    this._showLink();
    this._showFacts(Date.now());
    this._fillServices();
    this._log.translate(words);
    this._drawPlots(Date.now());
    this._drawnAt = 0;
    this.model.changes += 1;
  }

  /** @param {string | null} chosen */
  _chooseTheme(chosen) {
    const preference = window.matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      const isDark = chosen === null ? preference.matches : chosen === "dark";
      document.documentElement.dataset.theme = isDark ? "dark" : "light";
      this._showTheme();
    };
    if (chosen === null) preference.addEventListener("change", () => {
      if (remembered("theme") === null) apply();
    });
    apply();
  }

  _switchTheme() {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remember("theme", theme);
    document.documentElement.dataset.theme = theme;
    this._showTheme();
  }

  _showTheme() {
    const isDark = document.documentElement.dataset.theme === "dark";
    write(byId("theme"), this._words.say(isDark ? "themeLight" : "themeDark"));
  }

  _pauseLog() {
    this._log.isPaused = !this._log.isPaused;
    this._showPause();
    this.model.changes += 1;
  }

  _showPause() {
    write(byId("log-pause"), this._words.say(this._log.isPaused ? "resume" : "pause"));
    set(byId("log-pause"), { "aria-pressed": String(this._log.isPaused) });
  }

  _showLink() {
    const isDraining = this.model.draining && this._link !== "gone";
    document.documentElement.dataset.link = this._link;
    write(byId("status-text"), this._words.say(isDraining ? "draining" : this._link));
    const notice = this._link === "polling" ? "pollingNotice"
      : this._link === "gone" ? "goneNotice" : null;
    byId("notice").hidden = notice === null;
    write(byId("notice"), notice === null ? "" : this._words.say(notice));
  }

  /** @param {number} now */
  _showFacts(now) {
    const daemon = this.model.daemon;
    if (daemon === null) return;
    const uptime = this._words.duration((now - Date.parse(daemon.started)) / 1000);
    write(byId("daemon-name"), daemon.name);
    write(byId("daemon-facts"), this._words.say("facts", daemon.version, daemon.pid, uptime));
    const title = `${daemon.name} · sockd`;
    if (document.title !== title) document.title = title;
  }

  _fillServices() {
    const select = this._filters.service;
    const names = ["", ...this.model.services.keys()];
    const texts = names.map((name) => name || this._words.say("allServices"));
    const shown = [...select.options].map((one) => one.text);
    if (shown.join("\n") === texts.join("\n")) return;
    const chosen = select.value;
    select.replaceChildren(...names.map((name, place) => element("option", { value: name }, texts[place])));
    select.value = names.includes(chosen) ? chosen : "";
  }

  /**
   * @param {"copy" | "details"} action
   * @param {Connection} one
   */
  _act(action, one) {
    if (action === "copy") this._copy(one.filter ?? "");
    else this._details.open(one, this._cards.hue(one.service), this._words);
  }

  /** @param {string} text */
  async _copy(text) {
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      isCopied = false;
    }
    this._toast(this._words.say(isCopied ? "copied" : "notCopied", text));
  }

  /** @param {string} text */
  _toast(text) {
    const toast = byId("toast");
    (this._dialog.open ? this._dialog : document.body).append(toast);
    write(toast, text);
    write(byId("announcer"), text);
    toast.classList.add("up");
    window.clearTimeout(this._toastTimer);
    this._toastTimer = window.setTimeout(() => toast.classList.remove("up"), 2500);
  }
}

new Page().start();
