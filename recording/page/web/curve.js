// Numbers over time: a line or bars, with a cursor that can be dragged.

import { formatNumber } from "./display.js";
import { createElement, fitCanvas, setText, themeColor } from "./dom.js";
import { clamp, valueRange } from "./numbers.js";

const HEIGHT = 40;

/** One curve: what it shows, and how. `values` returns a number per step. */
export class Curve {
  constructor(pane, title, kind, values) {
    this.pane = pane;
    this.kind = kind;
    this.values = values;
    this.title = createElement("span", { class: "title" }, title);
    this.value = createElement("span", { class: "value" });
    this.canvas = createElement("canvas", { "aria-hidden": "true" });
    this.cursor = createElement("span", { class: "cursor" });
    this.chart = createElement("div", { class: "chart" }, this.canvas, this.cursor);
    this.range = ["high", "low"].map(() => createElement("span", {}));
    const range = createElement("span", { class: "range" }, ...this.range);
    this.element = createElement(
      "div",
      { class: "curve" },
      this.title,
      range,
      this.chart,
      this.value,
    );
    this.height = HEIGHT;
    for (const event of ["pointerdown", "pointermove"]) {
      this.chart.addEventListener(event, (pointer) => this.scrub(pointer));
    }
  }

  /** Draw the curve anew: another size, another map, another color scheme. */
  redraw() {
    const width = this.chart.clientWidth;
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = fitCanvas(this.canvas, width, this.height),
      shown = this.values();
    this.latest = shown;
    const known = [...shown, ...this.extraValues()].filter(Number.isFinite);
    for (const end of this.range) setText(end, "");
    if (!known.length) return this.drawUnknown(context);
    let [low, high] = valueRange(known);
    if (this.kind === "bars") [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const digits = formatNumber(high) === formatNumber(low) ? 6 : 3;
    setText(this.range[0], formatNumber(high, digits));
    if (formatNumber(low, digits) !== formatNumber(high, digits))
      setText(this.range[1], formatNumber(low, digits));
    if (low === high) [low, high] = [low - 1, high + 1];
    const y = (value) => 4 + (this.height - 8) * (1 - (value - low) / (high - low));
    const x = (t) => ((t + 0.5) / this.pane.app.length()) * width;
    if (low < 0 && high > 0) this.drawRule(context, y(0), width);
    this.drawBackground(context, x, y);
    (this.kind === "bars" ? drawBars : drawTrace)(context, shown, x, y, this.height - 1);
  }

  /** Return what else must fit between low and high. */
  extraValues() {
    return [];
  }

  /** Draw what lies behind the curve. */
  drawBackground(_context, _x, _y) {}

  drawUnknown(context) {
    context.fillStyle = themeColor("faint");
    context.font = "11px system-ui, sans-serif";
    context.fillText("not recorded", 4, this.height / 2 + 4);
  }

  drawRule(context, y, width) {
    context.fillStyle = themeColor("line");
    context.fillRect(0, Math.round(y), width, 1);
  }

  /** Move the cursor to a step, and write the value there. */
  moveCursor(t) {
    this.cursor.style.left = `${(100 * (t + 0.5)) / this.pane.app.length()}%`;
    const value = this.latest ? this.latest[t] : undefined;
    setText(this.value, value === undefined || Number.isNaN(value) ? "" : formatNumber(value));
  }

  scrub(pointer) {
    if (!(pointer.buttons & 1)) return;
    const area = this.chart.getBoundingClientRect(),
      { app } = this.pane;
    app.clock.seek(Math.floor(((pointer.clientX - area.left) / area.width) * app.length()));
  }
}

export const themeColors = {};

/** Look the colors of many small marks up once. */
export function refreshThemeColors() {
  for (const name of ["dim", "faint", "track", "accent", "good", "bad", "text"])
    themeColors[name] = themeColor(name);
}

function drawBars(context, values, x, y) {
  const width = clamp((x(1) - x(0)) * 0.7, 1, 16);
  values.forEach((value, t) => {
    if (!value) return;
    context.fillStyle = value > 0 ? themeColors.good : themeColors.bad;
    const [top, foot] = [Math.min(y(value), y(0)), Math.max(y(value), y(0))];
    context.fillRect(x(t) - width / 2, top, width, Math.max(1, foot - top));
  });
}

function drawTrace(context, values, x, y, foot) {
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  for (const [first, last] of knownRanges(values)) {
    const line = new Path2D();
    for (let t = first; t <= last; t++) line.lineTo(x(t), y(values[t]));
    context.strokeStyle = themeColors.text;
    if (first === last) context.fillRect(x(first) - 1, y(values[first]) - 1, 2, 2);
    context.stroke(line);
    line.lineTo(x(last), foot);
    line.lineTo(x(first), foot);
    context.globalAlpha = 0.07;
    context.fillStyle = themeColors.text;
    context.fill(line);
    context.globalAlpha = 1;
  }
}

/** Fill what lies between two curves, wherever both are known. */
export function drawBand(context, lows, highs, x, y) {
  context.globalAlpha = 0.22;
  context.fillStyle = themeColors.accent;
  for (const [first, last] of knownRanges(lows)) {
    const band = new Path2D();
    const half = (t) => (first === last ? [x(t - 0.5), x(t + 0.5)] : [x(t)]);
    for (let t = first; t <= last; t++) for (const left of half(t)) band.lineTo(left, y(highs[t]));
    for (let t = last; t >= first; t--)
      for (const left of half(t).reverse()) band.lineTo(left, y(lows[t]));
    context.fill(band);
  }
  context.globalAlpha = 1;
}

/** Return first and last place of each stretch of numbers that are known. */
function knownRanges(values) {
  const ranges = [];
  values.forEach((value, t) => {
    if (!Number.isFinite(value)) return;
    if (t && Number.isFinite(values[t - 1])) ranges[ranges.length - 1][1] = t;
    else ranges.push([t, t]);
  });
  return ranges;
}

/** The steps under all curves, with a number here and there. */
export class Axis extends Curve {
  constructor(pane) {
    super(pane, "step", "axis", () => []);
    this.element.classList.add("axis");
    this.height = 18;
  }

  redraw() {
    const width = this.chart.clientWidth,
      count = this.pane.app.length();
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = fitCanvas(this.canvas, width, this.height),
      interval = stepInterval(count, width / 70);
    context.font = "10px system-ui, sans-serif";
    context.fillStyle = themeColors.faint;
    context.textAlign = "center";
    for (let t = 0; t < count; t += interval) {
      const x = ((t + 0.5) / count) * width;
      context.fillRect(Math.round(x) - 0.5, 0, 1, 3);
      context.fillText(String(t), clamp(x, 4, width - 12), 13);
    }
  }

  moveCursor(t) {
    super.moveCursor(t);
    setText(this.value, String(t));
  }
}

/** Return how many steps lie between two numbers, so that at most `max` numbers are written. */
function stepInterval(count, max) {
  for (let power = 1; ; power *= 10) {
    for (const times of [1, 2, 5]) if (count / (power * times) <= max) return power * times;
  }
}
