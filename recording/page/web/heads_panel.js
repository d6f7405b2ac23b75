// The heads of the map that is shown, each as a small picture of its own.

import { drawFrame } from "./attended_picture.js";
import { createElement, fitCanvas, setText, themeColor } from "./dom.js";
import { Heading } from "./heading.js";
import { isRolloutMap, mapName, ownMap } from "./map_kinds.js";
import { MapView } from "./map_view.js";
import { entropy, largest } from "./numbers.js";

const WIDE_RATIO = 1.5; // pictures wider than so many times their height stand two in a row
const BARS_HEIGHT = 40; // height of the bars of tokens that stand nowhere, in pixels

/** A small picture of each head: where its weight lies, how far it spreads, how much it counts. */
export class HeadsPanel {
  constructor(pane) {
    this.pane = pane;
    this.heading = new Heading("heads");
    this.list = createElement("div", { class: "heads" });
    const hint =
      "effective number of tokens, the exponential of the entropy; how much a head counts";
    this.element = createElement("section", { title: hint }, this.heading.element, this.list);
    this.buttons = [];
  }

  draw(t, shown) {
    const view = this.viewWithHeads(shown),
      count = view instanceof MapView ? view.rows.heads : 0;
    this.element.hidden = count < 2;
    if (count < 2) return;
    setText(this.heading.title, view === shown ? "heads" : `heads of ${mapName(view.facts)}`);
    this.index = view.index;
    while (this.buttons.length < count) this.addHead(this.buttons.length);
    const counts = view.headCounts(t);
    const of = view.facts.drawable ? "tokens" : view.facts.keys;
    setText(this.heading.note, `effective ${of}${counts ? "; counts" : ""}`);
    const size = this.measure(view);
    this.buttons.forEach((head, h) => {
      head.element.hidden = h >= count;
      if (h >= count) return;
      const headView = this.headView(view, h);
      const spread = Math.exp(entropy(view.facts.drawable ? headView.weights(t) : headView.row(t)));
      const text = counts ? `${spread.toFixed(1)}, ${counts[h].toFixed(2)}` : spread.toFixed(1);
      setText(head.weight, text);
      head.element.setAttribute("aria-pressed", String(view === shown && view.head === h));
      this.drawThumb(head.canvas, t, headView, size);
    });
  }

  addHead(h) {
    const weight = createElement("span", { class: "weight" }),
      canvas = createElement("canvas", { "aria-hidden": "true" });
    const label = createElement("span", {}, `head ${h}`);
    const element = createElement("button", { type: "button" }, canvas, label, weight);
    element.addEventListener("click", () => this.pane.toggleHead(this.index, h));
    this.buttons.push({ element, weight, canvas });
    this.list.append(element);
  }

  /** Return what has the heads: what is shown, or of a rollout the map that it starts from. */
  viewWithHeads(shown) {
    const { episode } = this.pane,
      { role } = this.pane.shown;
    if (!isRolloutMap(episode, this.pane.shown.map)) return shown;
    return this.pane.view({ ...this.pane.shown, map: ownMap(episode, role), head: "mean" }, null);
  }

  /** Return the size of a picture; wide ones stand two in a row, others four. */
  measure(view) {
    const size = this.hasPicture(view) ? this.pane.episode.layout.size : null;
    const across = size === null || size[1] > WIDE_RATIO * size[0] ? 2 : 4;
    this.list.style.setProperty("--across", String(across));
    const width = Math.max(24, (this.list.clientWidth || 300) / across - 14);
    return [
      Math.round(width),
      size === null ? BARS_HEIGHT : Math.round((width * size[0]) / size[1]),
    ];
  }

  hasPicture(view) {
    return view.facts.drawable && this.pane.episode.layout.placed.length > 0;
  }

  drawThumb(canvas, t, view, size) {
    const context = fitCanvas(canvas, ...size);
    canvas.style.height = `${size[1]}px`;
    if (this.hasPicture(view))
      drawFrame(context, this.pane.app, this.pane, t, view, size, canvas, false);
    else this.drawBars(context, view.facts.drawable ? view.weights(t) : view.row(t), size);
  }

  /** Draw a bar for each key, in their order. */
  drawBars(context, weights, [width, height]) {
    const top = largest(weights) || 1e-9,
      slot = width / weights.length;
    context.fillStyle = themeColor("track");
    context.fillRect(0, 0, width, height);
    weights.forEach((weight, i) => {
      const barHeight = (height - 2) * (weight / top);
      context.fillStyle = this.pane.app.colors.bar(weight / top);
      context.fillRect(
        i * slot,
        height - barHeight,
        Math.max(1, slot - (slot > 4 ? 1 : 0)),
        barHeight,
      );
    });
  }

  /** Return the view of one head of the map that is shown. */
  headView(view, h) {
    return this.pane.view({ ...this.pane.shown, map: view.index, head: h }, view.query);
  }
}
