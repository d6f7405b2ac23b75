// The numbers of a step, and which map is shown, in words.

import { formatNumber } from "./display.js";
import { createElement, setText } from "./dom.js";
import { Heading } from "./heading.js";

/** Value, reward and the return so far. */
export class NumbersPanel {
  constructor(pane) {
    this.pane = pane;
    const unit = pane.episode.recording.value_unit;
    const names = [`${unit} value`.trim(), "reward", "return so far"];
    this.values = names.map(() => createElement("dd", {}));
    const pairs = names.map((name, i) =>
      createElement("div", {}, createElement("dt", {}, name), this.values[i]),
    );
    this.element = createElement("dl", { class: "numbers" }, ...pairs);
  }

  draw(t) {
    const { arrays, returns, steps } = this.pane.episode,
      last = Math.min(t, steps - 1);
    const [value, reward, total] = this.values;
    setText(value, t < steps ? formatNumber(arrays.value[t]) : "none");
    setText(reward, formatNumber(arrays.reward[last]));
    reward.className = arrays.reward[last] > 0 ? "good" : arrays.reward[last] < 0 ? "bad" : "";
    setText(total, formatNumber(returns[last]));
  }
}

/** Which map is shown, how far it spreads, and what of it is not drawn. */
export class AttentionText {
  constructor() {
    this.heading = new Heading("attention");
    this.lines = Array.from({ length: 9 }, (_, n) =>
      createElement("p", { class: n ? null : "attended" }),
    );
    this.reason = createElement("p", { class: "why" });
    this.element = createElement(
      "section",
      { class: "attention" },
      this.heading.element,
      ...this.lines,
      this.reason,
    );
  }

  /** `pointing` is how much of it lies on what matters, in words. */
  draw(t, view, attended, pointing) {
    const { reason, recorded } = view.episode.recording.roles[view.facts.role] ?? {};
    this.reason.hidden = !reason || recorded !== null || view.signed;
    setText(this.heading.title, view.signed ? "evidence" : "attention");
    const isMap = !view.signed && view.facts.queries !== "removal";
    setText(this.heading.note, isMap ? "where it may take information from" : "");
    setText(this.reason, this.reason.hidden ? "" : `No attention rollout: ${reason}.`);
    const [first, second] = view.lines(t);
    const texts = attended
      ? [first, second, ...view.notes(t), view.spread(t), pointing]
      : ["this action is not the policy's: there is nothing to show"];
    this.lines.forEach((line, n) => {
      line.hidden = !texts[n];
      setText(line, texts[n] ?? "");
    });
  }
}
