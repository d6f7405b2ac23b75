// The steps of a history as their frames, with a bar each.

import { barColor, barShare } from "./bars.js";
import { display } from "./display.js";
import { createElement, fitCanvas, setText } from "./dom.js";
import { trueTokens } from "./ground_truth.js";
import { Heading } from "./heading.js";
import { rankWeights, sum } from "./numbers.js";
import { partWeights } from "./token_parts.js";

/** The tokens of a history as the frames of their steps, with a bar each. */
export class HistoryStrip {
  constructor(pane, p) {
    this.pane = pane;
    this.part = pane.episode.parts[p];
    const { count } = this.part;
    this.offsets = this.part.offsets ?? Array.from({ length: count }, (_, i) => i + 1 - count);
    this.framed = count <= display.max_framed_steps;
    this.heading = new Heading("memory: past steps");
    const order = rankWeights(this.offsets.map((offset) => -offset));
    this.slots = order.map(([i]) => this.createSlot(i));
    const slots = createElement(
      "div",
      { class: this.framed ? "strip" : "strip thin" },
      ...this.slots.map((slot) => slot.element),
    );
    this.element = createElement("section", { class: "memory" }, this.heading.element, slots);
  }

  createSlot(i) {
    const picture = createElement("canvas", { "aria-hidden": "true" });
    const filled = createElement("span", { class: "filled" }),
      track = createElement("span", { class: "upright" }, filled);
    const offset = this.offsets[i],
      when = createElement("span", { class: "label" }, offset ? String(offset) : "now"),
      label = createElement("span", { class: "label" });
    const children = this.framed ? [picture, track, when, label] : [track];
    const element = createElement("button", { type: "button", class: "slot" }, ...children);
    element.addEventListener("click", () => this.pane.select(this.part.start + i));
    return { element, picture, filled, label, token: this.part.start + i, offset };
  }

  /** Return which pictures it shows at a step. */
  pictures(t) {
    return this.framed ? this.offsets.map((offset) => this.frame(t + offset)) : [];
  }

  frame(t) {
    return t < 0 ? -1 : this.pane.episode.arrays.frame[t];
  }

  draw(t, view) {
    const weights = view.weights(t),
      top = view.top(weights),
      total = sum(partWeights(weights, this.part)),
      matters = trueTokens(this.pane, t) ?? [];
    setText(this.heading.note, view.describeSum(total));
    for (const slot of this.slots)
      this.fillSlot(slot, t, view, weights[slot.token], top, matters.includes(slot.token));
  }

  fillSlot(slot, t, view, weight, top, matters) {
    const { episode, app } = this.pane,
      present = episode.present(t, slot.token),
      share = present ? barShare(view, weight, top) : 0,
      when = slot.offset ? String(slot.offset) : "now";
    slot.filled.style.height = `${100 * Math.abs(share)}%`;
    slot.filled.style.background = barColor(app.colors, view, share);
    slot.element.classList.toggle("absent", !present);
    slot.element.setAttribute("aria-pressed", String(this.pane.chosen() === slot.token));
    slot.element.classList.toggle("matters", matters);
    const weightText = `${view.noun} ${view.format(weight, 3)}${matters ? ", matters" : ""}`;
    const text = present ? weightText : "before the episode began";
    slot.element.setAttribute("aria-label", `step ${when}, ${text}`);
    slot.element.title = `${when}: ${text}`;
    setText(slot.label, present ? view.format(weight) : "");
    if (this.framed)
      this.drawThumb(slot, present ? app.pictures.get(this.frame(t + slot.offset)) : null);
  }

  drawThumb(slot, picture) {
    const [height, width] = this.pane.episode.layout.size,
      room = slot.element.clientWidth || 64;
    const size = [room, Math.min(90, Math.round((room * height) / width))];
    const context = fitCanvas(slot.picture, ...size);
    slot.picture.style.height = `${size[1]}px`;
    if (picture) context.drawImage(picture, 0, 0, ...size);
  }
}
