// The picture of one step, with the attention heat where its tokens stand.

import { drawFrame } from "./attended_picture.js";
import { CausalView } from "./causal_view.js";
import { createElement, fitCanvas, setText } from "./dom.js";
import { TruthLegend, truthText } from "./ground_truth.js";
import { largest, rankSizes } from "./numbers.js";

const MAX_WINDOW_SHARE = 0.5; // of the window's height
const MAX_HEIGHT = 560;
const MIN_WIDTH = 420; // of the column: its legend and strips need it

/** The frame, or the observed picture where there is none. */
export class AttendedFrame {
  constructor(app, pane) {
    this.app = app;
    this.pane = pane;
    this.canvas = createElement("canvas", { class: "picture", role: "img" });
    this.ramp = createElement("canvas", { class: "ramp", "aria-hidden": "true" });
    this.top = createElement("span", { class: "top" });
    this.low = createElement("span", {}, "0");
    this.scale = createElement("span", { class: "scale" }, this.low, this.ramp, this.top);
    this.text = createElement("span", { class: "words" });
    this.truth = new TruthLegend(pane);
    const parts = [this.scale, this.text, this.truth.element];
    const legend = createElement("p", { class: "legend" }, ...parts);
    this.tip = createElement("span", { class: "tip", hidden: true });
    this.element = createElement("div", { class: "stage" }, this.canvas, this.tip, legend);
    this.canvas.addEventListener("click", (event) => this.selectToken(event));
    this.canvas.addEventListener("pointermove", (event) => this.showTip(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.heat = null;
  }

  /** Fit the picture into so many pixels; return how wide it is. */
  measure(room) {
    const size = this.pane.episode.layout.size;
    this.canvas.hidden = size === null;
    if (size === null) return MIN_WIDTH;
    const factor = Math.min(
      room / size[1],
      Math.min(MAX_HEIGHT, MAX_WINDOW_SHARE * window.innerHeight) / size[0],
    );
    this.size = [
      Math.max(1, Math.round(size[1] * factor)),
      Math.max(1, Math.round(size[0] * factor)),
    ];
    this.canvas.style.width = `${this.size[0]}px`;
    this.canvas.style.height = `${this.size[1]}px`;
    return Math.max(this.size[0], Math.min(room, MIN_WIDTH));
  }

  /** Draw a step; `view` is null where there is no attention to show. */
  draw(t, view) {
    const { episode } = this.pane;
    this.truth.draw(t);
    if (episode.layout.size === null) {
      setText(this.text, "neither a frame nor a picture was recorded");
      this.scale.hidden = true;
      return;
    }
    const context = fitCanvas(this.canvas, ...this.size);
    this.heat = drawFrame(context, this.app, this.pane, t, view, this.size, this.canvas);
    this.drawLegend(t, view);
    this.canvas.setAttribute("aria-label", this.description(t, view));
  }

  drawLegend(t, view) {
    const { heat } = this,
      { layout } = this.pane.episode;
    this.scale.hidden = !heat || heat.lift === null;
    if (!view) {
      const why = this.pane.viewAt(t) instanceof CausalView ? "this step was not scored" : "";
      return setText(this.text, t < this.pane.episode.steps ? why : "what the last action led to");
    }
    if (!layout.placed.length)
      return setText(this.text, "the tokens have no place on this picture");
    if (!view.facts.drawable)
      return setText(this.text, `this map weighs ${view.facts.keys}, which stand nowhere`);
    if (view.signed) return this.drawEvidenceLegend(t, view);
    this.app.colors.drawRamp(this.ramp);
    this.scale.classList.remove("signed");
    setText(this.low, "0");
    if (heat.lift) setText(this.top, heat.scale);
    const share = `${Math.round(100 * heat.share)}% of the ${view.noun} is on the picture`;
    const bold = `most: ${view.noun} ${view.format(largest(view.weights(t)))}${view.unit}; `;
    setText(this.text, (heat.lift && !view.unit ? "" : bold) + share);
  }

  /** Say what the two hues mean, where their scale ends, and how much is on the picture. */
  drawEvidenceLegend(t, view) {
    const [above, below] = view.words(t),
      share = `${Math.round(100 * this.heat.share)}% of all evidence is on the picture`;
    this.app.colors.drawRamp(this.ramp, true);
    this.scale.hidden = false;
    this.scale.classList.add("signed");
    setText(this.low, below);
    setText(this.top, above);
    const undefinedHere = view.isDefined(t) ? "" : view.spread(t);
    setText(this.text, undefinedHere || [this.heat.scale, share].filter(Boolean).join("; "));
  }

  /** Return what the picture shows in words, for those who do not see it. */
  description(t, view) {
    const { episode } = this.pane,
      picture = [`Picture of step ${t}`, truthText(this.pane, t)].filter(Boolean).join(", ");
    if (!view) return picture;
    const best = rankSizes(view.weights(t))
      .slice(0, 3)
      .filter(([, weight]) => weight !== 0);
    const texts = best.map(([i, weight]) => `${episode.name(t, i)} ${view.format(weight)}`);
    const what = view.signed ? `Evidence ${view.words(t).join(" (+), ")} (-)` : "Most attended";
    return `${picture}. ${what}: ${texts.join(", ") || "nothing"}`;
  }

  /** Choose the token under the pointer. */
  selectToken(event) {
    if (this.pane.t < this.pane.episode.steps) this.pane.select(this.tokenUnder(event));
  }

  /** Show which token is under the pointer, and what it weighs. */
  showTip(event) {
    const { pane, tip } = this,
      { episode, t } = pane;
    const token = t < episode.steps ? this.tokenUnder(event) : null;
    tip.hidden = token === null;
    if (token === null) return;
    const view = pane.viewAt(t),
      weight = view.facts.drawable ? view.format(view.weights(t)[token], 3) : "";
    setText(
      tip,
      [episode.name(t, token), episode.category(t, token), weight].filter(Boolean).join("  "),
    );
    const left = Math.min(event.offsetX + 12, this.size[0] - tip.offsetWidth);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.max(0, event.offsetY - 30)}px`;
  }

  /** Return the token under the pointer: of those that see it, the one with the nearest middle. */
  tokenUnder(event) {
    const { episode, t } = this.pane,
      area = this.canvas.getBoundingClientRect(),
      [height, width] = episode.layout.size;
    const x = ((event.clientX - area.left) / area.width) * width;
    const y = ((event.clientY - area.top) / area.height) * height;
    let best = null,
      nearest = Infinity;
    for (let i = 0; i < episode.tokens; i++) {
      const box = episode.box(t, i);
      if (!box || x < box[0] || x >= box[2] || y < box[1] || y >= box[3]) continue;
      const away = ((box[0] + box[2]) / 2 - x) ** 2 + ((box[1] + box[3]) / 2 - y) ** 2;
      if (away < nearest) [best, nearest] = [i, away];
    }
    return best;
  }
}
