// The plots of the last minutes: throughput, and connections per second.

/** The height of a plot, in pixels. */
const PLOT_HEIGHT = 150;

/** The margins for the values on the left and the times below, in pixels. */
const PLOT_LEFT = 74;
const PLOT_BELOW = 22;
const PLOT_ABOVE = 8;

/**
 * A curve of a plot; it is dashed if it may cover another one.
 * @typedef {{name: keyof Sample, word: PlainName, hue: number, isDashed?: boolean}} Curve
 */

/** @type {Curve[]} */
const THROUGHPUT = [{ name: "in", word: "received", hue: 0 }, { name: "out", word: "sent", hue: 1, isDashed: true }];

/** @type {Curve[]} */
const RATES = [
  { name: "accepted", word: "accepted", hue: 2 },
  { name: "closed", word: "closed", hue: 7 },
  { name: "refused", word: "refused", hue: 4 },
];

/**
 * Return a round, even number that is not less than a value.
 * @param {number} value
 * @param {number} base  10, or 1024 for bytes
 */
function roundUp(value, base) {
  if (value <= 4) return 4;
  if (base === 10) {
    const power = 10 ** Math.floor(Math.log10(value));
    return power * ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10);
  }
  return 2 ** Math.ceil(Math.log2(value));
}

/** One plot. */
class Plot {
  /**
   * @param {Element} place
   * @param {PlainName} title  the name of its title
   * @param {Curve[]} curves
   * @param {number} base  of the units: 10, or 1024 for bytes
   */
  constructor(place, title, curves, base) {
    this._title = title;
    this._curves = curves;
    this._base = base;
    this._place = place;
    this._grid = drawing("path", { class: "grid" });
    this._labels = drawing("g");
    this._legend = element("ul", { class: "legend" });
    this._svg = drawing("svg", { role: "img", height: PLOT_HEIGHT }, this._grid, this._labels);
    this._lines = curves.map((curve) => {
      const area = drawing("path", { class: `area hue-${curve.hue}` });
      const style = curve.isDashed ? "line dashed" : "line";
      const line = drawing("path", { class: `${style} hue-${curve.hue}` });
      this._svg.append(area, line);
      return { area, line };
    });
    for (const curve of curves) this._legend.append(element("li", { class: `hue-${curve.hue}` }));
    place.append(this._legend, this._svg);
  }

  /**
   * @param {Sample[]} samples
   * @param {number} now
   * @param {Words} words
   */
  draw(samples, now, words) {
    const width = Math.floor(this._place.clientWidth) || 320;
    const peak = samples.reduce((most, sample) =>
      this._curves.reduce((high, { name }) => Math.max(high, sample[name]), most), 0);
    const top = roundUp(peak, this._base);
    const floor = PLOT_HEIGHT - PLOT_BELOW;
    const x = (/** @type {number} */ time) =>
      PLOT_LEFT + (width - PLOT_LEFT - 4) * (1 - (now - time) / (SECONDS_KEPT * 1000));
    const y = (/** @type {number} */ value) => floor - ((floor - PLOT_ABOVE) * value) / top;
    set(this._svg, { viewBox: `0 0 ${width} ${PLOT_HEIGHT}` });
    this._drawGrid(width, top, y, words);
    this._curves.forEach(({ name }, place) => {
      const points = samples.map((one) => `${x(one.time).toFixed(1)} ${y(one[name]).toFixed(1)}`);
      const line = points.length > 1 ? `M ${points.join(" L ")}` : "";
      const ends = samples.length > 1
        ? ` L ${x(samples[samples.length - 1].time).toFixed(1)} ${floor} L ${x(samples[0].time).toFixed(1)} ${floor} Z` : "";
      set(this._lines[place].line, { d: line });
      set(this._lines[place].area, { d: line && line + ends });
    });
    this._drawLegend(samples[samples.length - 1], words);
  }

  /**
   * @param {number} width
   * @param {number} top
   * @param {(value: number) => number} y
   * @param {Words} words
   */
  _drawGrid(width, top, y, words) {
    const heights = [0, top / 2, top];
    set(this._grid, { d: heights.map((one) => `M ${PLOT_LEFT} ${y(one)} H ${width - 4}`).join(" ") });
    const texts = heights.map((one) => ({
      text: this._figure(one, words), x: PLOT_LEFT - 8, y: y(one) + 4, anchor: "end",
    }));
    const below = PLOT_HEIGHT - 4;
    texts.push({ text: words.say("minutesAgo", 5), x: PLOT_LEFT, y: below, anchor: "start" });
    texts.push({ text: words.say("now"), x: width - 4, y: below, anchor: "end" });
    texts.forEach((one, place) => {
      const label = this._labels.children[place] ?? this._labels.appendChild(drawing("text"));
      set(label, { x: one.x, y: one.y, "text-anchor": one.anchor });
      write(label, one.text);
    });
  }

  /**
   * @param {Sample | undefined} last
   * @param {Words} words
   */
  _drawLegend(last, words) {
    const parts = this._curves.map(({ name, word }, place) => {
      const figure = this._figure(last === undefined ? 0 : last[name], words);
      const text = `${words.say(word)} ${figure}`;
      const entry = this._legend.children[place];
      if (entry.textContent !== text) {
        entry.replaceChildren(`${words.say(word)} `, element("b", {}, figure));
      }
      return text;
    });
    set(this._svg, { "aria-label": words.say("plotText", words.say(this._title), parts.join(", ")) });
  }

  /**
   * @param {number} value
   * @param {Words} words
   */
  _figure(value, words) {
    return this._base === 1024 ? `${words.bytes(value)}/s` : `${words.number(Math.round(value))}/s`;
  }
}
