// Evidence: what spoke for the action, and what against it. The rules are those of the films,
// recording/evidence_view.py.

import { AttentionView } from "./attention_view.js";
import { display } from "./display.js";
import { sum } from "./numbers.js";

const LEVELS = 127;

/** Return the role of an episode's evidence: that of the maps of the policy that acts. */
export function evidenceRole({ recording }) {
  return recording.first_map === null ? "policy" : recording.maps[recording.first_map].role;
}

/** One component of the evidence: one signed number per token at each step. */
export class EvidenceView extends AttentionView {
  constructor(episode, component) {
    super(episode, {
      role: evidenceRole(episode),
      queries: "evidence",
      keys: "tokens",
      drawable: true,
      extra_keys: [],
      normalized_over: "none",
      mechanism: "",
      soft: false,
      head_weights: false,
    });
    this.component = component;
    this.spec = episode.recording.evidence;
    this.scale = episode.facts.evidence.scales[component];
    this.signed = true;
    this.noun = "evidence";
    this.query = null;
  }

  /** Return which token asks: none. */
  queryToken() {
    return null;
  }

  /** Return a number with its sign. */
  format(evidence, digits = 2) {
    const text = Math.abs(evidence).toFixed(digits);
    return Number(text) === 0 ? text : (evidence < 0 ? "-" : "+") + text;
  }

  top() {
    return this.scale.token;
  }

  describeSum(total) {
    return `evidence, net ${this.format(total)}`;
  }

  /** Say whether there is evidence at a step: not where nothing else could be done. */
  isDefined(t) {
    return !Number.isNaN(this.rowScale(t)) && !Number.isNaN(this.code(t, 0));
  }

  rowScale(t) {
    const { evidence_scale: scales } = this.episode.arrays;
    return scales ? scales[t * this.spec.components.length + this.component] : LEVELS;
  }

  /** Return the stored number of a token. */
  code(t, i) {
    const M = this.spec.components.length,
      { tokens, arrays } = this.episode;
    return arrays.evidence[(t * M + this.component) * tokens + i];
  }

  computeRow(t) {
    const row = new Float64Array(this.episode.tokens);
    if (!this.isDefined(t)) return row;
    const unit = this.rowScale(t) / LEVELS;
    return row.map((_, i) => this.code(t, i) * unit);
  }

  /** Return what its two signs mean at a step: [above 0, below 0]. */
  words(t) {
    const { arrays, texts } = this.episode,
      index = t * this.spec.components.length + this.component;
    return [texts[arrays.evidence_above[index]], texts[arrays.evidence_below[index]]];
  }

  lines() {
    return [this.spec.titles[this.component], this.spec.meaning];
  }

  notes(t) {
    const [above, below] = this.words(t);
    return [`blue ${above}, orange ${below}`, ...this.spec.notes];
  }

  spread(t) {
    if (!this.isDefined(t)) return display.undefined_evidence;
    const weights = Array.from(this.weights(t)),
      above = sum(weights.filter((weight) => weight > 0)),
      below = sum(weights.filter((weight) => weight < 0));
    return `in all +${above.toFixed(2)} and -${Math.abs(below).toFixed(2)}`;
  }
}
