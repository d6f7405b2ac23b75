// Numbers over time: a line or bars, with a cursor that can be dragged.

const ROW = 40;

/** One curve: what it shows, and how. `values` returns a number per step. */
class Curve {
  constructor(side, title, kind, values) {
    Object.assign(this, { side, kind, values });
    this.title = make("span", { class: "title" }, title);
    this.value = make("span", { class: "value" });
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.cursor = make("span", { class: "cursor" });
    this.chart = make("div", { class: "chart" }, this.canvas, this.cursor);
    this.range = ["high", "low"].map(() => make("span", {}));
    const range = make("span", { class: "range" }, ...this.range);
    this.element = make("div", { class: "curve" }, this.title, range, this.chart, this.value);
    this.height = ROW;
    for (const event of ["pointerdown", "pointermove"]) {
      this.chart.addEventListener(event, (pointer) => this.scrub(pointer));
    }
  }

  /** Draw the curve anew: another size, another map, another light. */
  redraw() {
    const width = this.chart.clientWidth;
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = pen(this.canvas, width, this.height),
      shown = this.values();
    this.latest = shown;
    const known = [...shown, ...this.reach()].filter(Number.isFinite);
    for (const end of this.range) say(end, "");
    if (!known.length) return this.unknown(context);
    let [low, high] = bounds(known);
    if (this.kind === "bars") [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const digits = number(high) === number(low) ? 6 : 3;
    say(this.range[0], number(high, digits));
    if (number(low, digits) !== number(high, digits)) say(this.range[1], number(low, digits));
    if (low === high) [low, high] = [low - 1, high + 1];
    const y = (value) => 4 + (this.height - 8) * (1 - (value - low) / (high - low));
    const x = (t) => ((t + 0.5) / this.side.app.length()) * width;
    if (low < 0 && high > 0) this.rule(context, y(0), width);
    this.behind(context, x, y);
    (this.kind === "bars" ? drawBars : drawTrace)(context, shown, x, y, this.height - 1);
  }

  /** Return what else must fit between low and high. */
  reach() {
    return [];
  }

  /** Draw what lies behind the curve. */
  behind() {}

  unknown(context) {
    context.fillStyle = ink("faint");
    context.font = "11px system-ui, sans-serif";
    context.fillText("not recorded", 4, this.height / 2 + 4);
  }

  rule(context, y, width) {
    context.fillStyle = ink("line");
    context.fillRect(0, Math.round(y), width, 1);
  }

  /** Move the cursor to a step, and say the value there. */
  point(t) {
    this.cursor.style.left = `${(100 * (t + 0.5)) / this.side.app.length()}%`;
    const value = this.latest ? this.latest[t] : undefined;
    say(this.value, value === undefined || Number.isNaN(value) ? "" : number(value));
  }

  scrub(pointer) {
    if (!(pointer.buttons & 1)) return;
    const bounds = this.chart.getBoundingClientRect(),
      { app } = this.side;
    app.clock.seek(Math.floor(((pointer.clientX - bounds.left) / bounds.width) * app.length()));
  }
}

const inks = {};

/** Look the colours of many small marks up once. */
function refreshInk() {
  for (const name of ["dim", "faint", "track", "accent", "good", "bad", "text"])
    inks[name] = ink(name);
}

/** Return the smallest and the largest of many numbers. */
function bounds(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function drawBars(context, values, x, y) {
  const width = clamp((x(1) - x(0)) * 0.7, 1, 16);
  values.forEach((value, t) => {
    if (!value) return;
    context.fillStyle = value > 0 ? inks.good : inks.bad;
    const [top, foot] = [Math.min(y(value), y(0)), Math.max(y(value), y(0))];
    context.fillRect(x(t) - width / 2, top, width, Math.max(1, foot - top));
  });
}

function drawTrace(context, values, x, y, foot) {
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  for (const [first, last] of stretches(values)) {
    const line = new Path2D();
    for (let t = first; t <= last; t++) line.lineTo(x(t), y(values[t]));
    context.strokeStyle = inks.text;
    if (first === last) context.fillRect(x(first) - 1, y(values[first]) - 1, 2, 2);
    context.stroke(line);
    line.lineTo(x(last), foot);
    line.lineTo(x(first), foot);
    context.globalAlpha = 0.07;
    context.fillStyle = inks.text;
    context.fill(line);
    context.globalAlpha = 1;
  }
}

/** Fill what lies between two curves, wherever both are known. */
function drawBand(context, lows, highs, x, y) {
  context.globalAlpha = 0.22;
  context.fillStyle = inks.accent;
  for (const [first, last] of stretches(lows)) {
    const band = new Path2D();
    const half = (t) => (first === last ? [x(t - 0.5), x(t + 0.5)] : [x(t)]);
    for (let t = first; t <= last; t++) for (const at of half(t)) band.lineTo(at, y(highs[t]));
    for (let t = last; t >= first; t--)
      for (const at of half(t).reverse()) band.lineTo(at, y(lows[t]));
    context.fill(band);
  }
  context.globalAlpha = 1;
}

/** Return first and last place of each stretch of numbers that are known. */
function stretches(values) {
  const found = [];
  values.forEach((value, t) => {
    if (!Number.isFinite(value)) return;
    if (t && Number.isFinite(values[t - 1])) found[found.length - 1][1] = t;
    else found.push([t, t]);
  });
  return found;
}

/** The steps under all curves, with a number here and there. */
class Axis extends Curve {
  constructor(side) {
    super(side, "step", "axis", () => []);
    this.element.classList.add("axis");
    this.height = 18;
  }

  redraw() {
    const width = this.chart.clientWidth,
      count = this.side.app.length();
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = pen(this.canvas, width, this.height),
      every = tick(count, width / 70);
    context.font = "10px system-ui, sans-serif";
    context.fillStyle = inks.faint;
    context.textAlign = "center";
    for (let t = 0; t < count; t += every) {
      const x = ((t + 0.5) / count) * width;
      context.fillRect(Math.round(x) - 0.5, 0, 1, 3);
      context.fillText(String(t), clamp(x, 4, width - 12), 13);
    }
  }

  point(t) {
    super.point(t);
    say(this.value, String(t));
  }
}

/** Return how many steps lie between two numbers, so that at most `most` numbers are written. */
function tick(count, most) {
  for (let power = 1; ; power *= 10) {
    for (const times of [1, 2, 5]) if (count / (power * times) <= most) return power * times;
  }
}
