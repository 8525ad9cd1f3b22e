// Puts the page together: the model is fed by the link, and drawn when it has changed.

/** How far apart two drawings are, in milliseconds: with few connections, and with many. */
const DRAW_EVERY = 120;
const DRAW_EVERY_OF_MANY = 500;
const MANY = 500;

/**
 * Return a stored choice; a browser may forbid to store anything.
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
    // It is a choice for this visit then.
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
    this._details = new Details(byId("details"), (text) => this._copy(text));
    /** @type {Connection[]} those that are fading from the pictures */
    this._fading = [];
    this._link = "starting";
    this._drawn = -1;
    this._drawnAt = 0;
    this._sampledAt = 0;
    this._toastTimer = 0;
  }

  /** Begin. */
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
    if (state === "gone") this._tell("gone", Date.now(), "", null, {});
    if (this._link === "gone") this._tell("back", Date.now(), "", null, {});
    this._link = state;
    this._log.hush();
    this._showLink();
  }

  /** @param {any} stats */
  described(stats) {
    const isNew = this.model.describe(stats);
    if (isNew) {
      this._fading = [];
      this._tell("restarted", Date.now(), "", null, {});
    }
    this._figures(stats.services, Date.now());
    this._fillServices();
  }

  newest() {
    return this.model.newest();
  }

  /** @param {any[]} views */
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

  /**
   * @param {string} word
   * @param {any} data
   */
  told(word, data) {
    const time = Date.parse(data.time);
    switch (word) {
      case "accept":
      case "close":
        this._toldConnection(word, connectionOf(data.connection, data.service, time));
        break;
      case "totals":
        this._totals(data);
        break;
      case "burst":
        this._burst(data, time);
        break;
      case "lost":
        if (data.missed !== null) this._tell("lost", Date.now(), "", null, data);
        break;
      default:
        this._tell(word, time, data.service, null, listenerFacts(data));
        if (word === "bind") this._describeAgain();
    }
  }

  /**
   * @param {"accept" | "close"} word
   * @param {Connection} one
   */
  _toldConnection(word, one) {
    if (word === "accept") {
      this.model.enter(one);
    } else if (this.model.end(one)) {
      this._fade(one);
    }
    this._tellConnection(word, one);
  }

  /**
   * @param {any} data
   * @param {number} time
   */
  _burst(data, time) {
    for (const id of data.closed) {
      const one = this.model.open.get(id);
      if (one !== undefined && this.model.end({ ...one, closed: time })) this._fade(one);
    }
    if (data.brief) this.model.letPass(data.brief[0], data.brief[1]);
    this.model.count(data.services);
    this._tell("burst", time, "", null, { leftOut: this._words.number(data.left_out) });
  }

  /** @param {any} data */
  _totals(data) {
    const now = Date.now();
    this.model.traffic(data.connections, now);
    this.model.draining = data.draining;
    const isOther = this._figures(data.services, now);
    if (isOther) this._describeAgain();
    this._showLink();
  }

  /**
   * @param {any[]} services
   * @param {number} now
   */
  _figures(services, now) {
    this._sampledAt = now;
    return this.model.figures(services, now);
  }

  /** A service listens, or does no more: the events do not say where. */
  async _describeAgain() {
    try {
      this.described(await askDaemon("stats"));
    } catch {
      // The link finds out by itself.
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
    const facts = {
      transport: one.transport, peer: addressText(one.peer), local: addressText(one.local),
      bytesIn: this._words.number(one.bytesIn), bytesOut: this._words.number(one.bytesOut),
      reason: one.reason,
    };
    const time = (word === "close" ? one.closed : one.opened) ?? Date.now();
    this._tell(word, time, one.service, one.id, facts);
  }

  /**
   * @param {string} word
   * @param {number} time
   * @param {string} service
   * @param {number | null} number
   * @param {Record<string, any>} facts
   */
  _tell(word, time, service, number, facts) {
    this._log.add({ word, time, service, number, facts });
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
    return {
      service: byId("filter-service").value,
      peer: byId("filter-peer").value,
      state: byId("filter-state").value,
    };
  }

  _listen() {
    byId("language").addEventListener("click", () => this._switchLanguage());
    byId("theme").addEventListener("click", () => this._switchTheme());
    byId("log-pause").addEventListener("click", () => this._pauseLog());
    byId("filters").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
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
        const text = words.say(one.getAttribute(attribute) ?? "");
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
    const notices = { polling: "pollingNotice", gone: "goneNotice" };
    const notice = notices[/** @type {"polling" | "gone"} */ (this._link)];
    byId("notice").hidden = notice === undefined;
    write(byId("notice"), notice === undefined ? "" : this._words.say(notice));
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
    const select = byId("filter-service");
    const names = ["", ...this.model.services.keys()];
    const texts = names.map((name) => name || this._words.say("allServices"));
    const shown = [...select.options].map((/** @type {HTMLOptionElement} */ one) => one.text);
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
    const dialog = byId("details");
    (dialog.open ? dialog : document.body).append(toast);
    write(toast, text);
    write(byId("announcer"), text);
    toast.classList.add("up");
    window.clearTimeout(this._toastTimer);
    this._toastTimer = window.setTimeout(() => toast.classList.remove("up"), 2500);
  }
}

/**
 * Return what is said of an event that is about no connection.
 * @param {any} data
 */
function listenerFacts(data) {
  return {
    transport: data.listener.transport, local: addressText(data.listener),
    backlog: data.listener.backlog, peer: data.peer ? addressText(data.peer) : "",
    reason: data.reason ?? null,
  };
}

new Page().start();
