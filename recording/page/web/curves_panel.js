// All curves of a recording, one above the other, with one cursor through all.

import { ActionRaster, DimensionCurve } from "./action_curves.js";
import { Axis, Curve, refreshThemeColors } from "./curve.js";
import { createElement, setText } from "./dom.js";

const MAX_DIMENSIONS = 6;

/** All curves of a recording. */
export class CurvesPanel {
  constructor(pane) {
    this.pane = pane;
    const { arrays } = pane.episode,
      line = (title, values, hint = "") => this.createLine(title, values, hint);
    this.spread = line(
      "effective tokens",
      () => Array.from(pane.base().allSteps().spread),
      "how many tokens share the weight: the exponential of the entropy of the weights",
    );
    this.shift = line(
      "attention shift",
      () => Array.from(pane.base().allSteps().shift),
      "share of the weight that lies elsewhere than a step before",
    );
    this.token = line("chosen token", () => this.tokenWeights());
    this.rows = [
      new Curve(pane, "reward", "bars", () => Array.from(arrays.reward)),
      line(`${pane.episode.recording.value_unit} value`.trim(), () => Array.from(arrays.value)),
      ...this.actionCurves(),
      this.spread,
      this.shift,
      this.token,
      new Axis(pane),
    ];
    this.element = createElement(
      "div",
      { class: "curves" },
      ...this.rows.map((row) => row.element),
    );
  }

  createLine(title, values, hint) {
    const curve = new Curve(this.pane, title, "line", values);
    if (hint) curve.element.title = hint;
    return curve;
  }

  actionCurves() {
    const { pane } = this,
      { episode } = pane,
      { recording } = episode;
    if (recording.action_kind === "continuous") {
      const names = recording.action_names.slice(0, MAX_DIMENSIONS);
      return names.map((_, i) => new DimensionCurve(pane, i));
    }
    if (recording.distribution !== "probabilities") return [new ActionRaster(pane)];
    const entropies = () =>
      Array.from({ length: episode.steps }, (_, t) => episode.policyEntropy(t));
    return [this.createLine("entropy of the policy", entropies, ""), new ActionRaster(pane)];
  }

  /** Return the weight of the chosen token at every step; none where it is absent. */
  tokenWeights() {
    const { episode, selected } = this.pane;
    if (selected === null) return [];
    const base = this.pane.base(),
      { weights } = base.allSteps();
    return Array.from({ length: episode.steps }, (_, t) => {
      const i = episode.find(t, selected);
      const known = i >= 0 && episode.present(t, i) && base.isKnown(t);
      return known ? weights[t * episode.tokens + i] : NaN;
    });
  }

  redraw() {
    refreshThemeColors();
    const { episode, selected } = this.pane,
      base = this.pane.base(),
      { drawable } = base.facts;
    this.spread.element.hidden = this.shift.element.hidden = !drawable || base.signed;
    this.token.element.hidden = selected === null || !drawable;
    if (selected !== null) setText(this.token.title, `${base.noun} of ${episode.nameOf(selected)}`);
    for (const row of this.rows) if (!row.element.hidden) row.redraw();
  }

  moveCursor(t) {
    for (const row of this.rows) if (!row.element.hidden) row.moveCursor(t);
  }
}
