// Actions over time: a row for each choice, or a curve for each dimension.

import { Curve, drawBand, themeColors } from "./curve.js";
import { createElement, fitCanvas, setText } from "./dom.js";
import { clamp, valueRange } from "./numbers.js";

const ACTION_ROW = 12;
const MAX_LISTED = 18;

/** All actions over time: how likely each was, and which was taken. */
export class ActionRaster extends Curve {
  constructor(pane) {
    const { recording } = pane.episode,
      count = recording.action_names.length;
    const isQ = recording.distribution === "q_values";
    super(pane, isQ ? "Q values" : "actions", "raster", () => []);
    this.shown = Array.from({ length: Math.min(count, MAX_LISTED) }, (_, i) => i);
    this.height = ACTION_ROW * this.shown.length;
    this.element.classList.add("raster");
    const names = this.shown.map((i) =>
      createElement("span", { title: recording.action_names[i] }, recording.action_names[i]),
    );
    const cut = count > MAX_LISTED ? `, ${MAX_LISTED} of ${count}` : "";
    this.range[0].parentElement.remove();
    this.title.replaceChildren(...names);
    const quantity = isQ ? "Q values" : "probabilities";
    this.element.title = `${quantity}${cut}; a mark where an action was taken`;
  }

  redraw() {
    const width = this.chart.clientWidth,
      { episode, app } = this.pane;
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = fitCanvas(this.canvas, width, this.height),
      slot = width / app.length();
    const [low, high] = this.shadeRange();
    for (let t = 0; t < episode.steps; t++) {
      const rows = episode.distribution(t);
      this.shown.forEach((i, n) => {
        const share = rows ? clamp((rows[0][i] - low) / (high - low || 1), 0, 1) : 0;
        this.drawCell(context, t * slot, n * ACTION_ROW, slot, share, episode.chosen(t, i));
      });
    }
  }

  /** Draw an action at a step, from pixel to pixel: no seam may look like a mark. */
  drawCell(context, x, y, slot, share, chosen) {
    const left = Math.round(x),
      across = Math.max(1, Math.round(x + slot) - left);
    context.globalAlpha = 0.06 + 0.74 * share;
    context.fillStyle = themeColors.dim;
    context.fillRect(left, y + 1, across, ACTION_ROW - 2);
    context.globalAlpha = 1;
    if (!chosen) return;
    context.fillStyle = themeColors.accent;
    context.fillRect(left, y + ACTION_ROW / 2 - 1.5, across, 3);
  }

  /** Return from where to where a cell goes from light to dark. */
  shadeRange() {
    const { episode } = this.pane;
    if (episode.recording.distribution !== "q_values") return [0, 1];
    return valueRange(Array.from(episode.arrays.distribution).filter(Number.isFinite));
  }

  moveCursor(t) {
    super.moveCursor(t);
    const { episode } = this.pane;
    setText(this.value, t < episode.steps ? episode.actionText(t) : "");
  }
}

/** One dimension of a continuous action over time: taken, in a band of one standard deviation. */
export class DimensionCurve extends Curve {
  constructor(pane, i) {
    const { episode } = pane,
      perStep = (of) => Array.from({ length: episode.steps }, (_, t) => of(t)),
      name = episode.recording.action_names[i];
    super(pane, name, "line", () => perStep((t) => episode.action(t)[i]));
    this.element.title = "the action taken, in a band of one standard deviation about the mean";
    const distributions = perStep((t) => episode.distribution(t));
    this.ends = [1, 2].map((row) => distributions.map((rows) => (rows ? rows[row][i] : NaN)));
  }

  extraValues() {
    return this.ends.flat();
  }

  drawBackground(context, x, y) {
    drawBand(context, ...this.ends, x, y);
  }
}
