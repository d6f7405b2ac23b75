// One episode: observations, actions and values at each step. Attention is in map_view.js.

import { sum } from "./numbers.js";
import { formatOffset } from "./display.js";
import { RemovalScores } from "./removal_scores.js";

const NO_IDENTITY = -1n;

/** The steps of an episode. `t` may be one more than the last: the picture that it led to. */
export class Episode {
  constructor(recording, facts, arrays) {
    this.recording = recording;
    this.facts = facts;
    this.arrays = arrays;
    this.steps = facts.steps;
    this.texts = facts.texts;
    this.layout = facts.layout;
    this.tokens = recording.tokens;
    this.parts = recording.parts;
    this.actions = recording.action_names.length;
    this.length = arrays.frame.length; // one more than steps where the end was pictured
    this.partOf = this.parts.flatMap((part, p) => new Array(part.count).fill(p));
    this.returns = new Float64Array(this.steps);
    arrays.reward.reduce((total, reward, t) => (this.returns[t] = total + reward), 0);
    this.removal = arrays.causal ? new RemovalScores(this) : null;
  }

  /** Say whether a token is present. */
  present(t, i) {
    return this.arrays.present[t * this.tokens + i] > 0;
  }

  /** Return how many tokens are present. */
  presentCount(t) {
    return sum(this.arrays.present.subarray(t * this.tokens, (t + 1) * this.tokens));
  }

  /** Return the identity of the object that a token is; null where it has none. */
  identity(t, i) {
    const id = this.arrays.ids[t * this.tokens + i];
    return id === NO_IDENTITY ? null : id;
  }

  /** Return what tells a target of attention from others: an object, or a token that is none. */
  target(t, i) {
    const id = this.identity(t, i);
    return id === null ? `token ${i}` : `object ${id} of ${this.parts[this.partOf[i]].key}`;
  }

  /** Return which token a selected one is at a step: an object may have moved to another one of its
   * kind, and of a history to one as many steps back; or -1. */
  find(t, selected) {
    if (selected === null) return -1;
    if (selected.object === null) return selected.token;
    const { start, count } = this.parts[this.partOf[selected.token]];
    for (let i = start; i < start + count; i++) {
      if (this.identity(t, i) === selected.object && this.present(t, i)) return i;
    }
    return -1;
  }

  /** Return the name of a token at a step. */
  name(t, i) {
    return this.texts[this.arrays.name[t * this.tokens + i]];
  }

  /** Return the name of a selected token, whatever stands in its place by now. */
  nameOf(selected) {
    if (selected.object === null) return this.name(selected.t, selected.token);
    for (let t = 0; t < this.steps; t++) {
      const i = this.find(t, selected);
      if (i >= 0) return this.name(t, i);
    }
    const { stems, start, offset } = this.parts[this.partOf[selected.token]];
    const name = `${stems?.[selected.token - start] || "object"} ${selected.object}`;
    return offset ? `${name}, ${formatOffset(offset)}` : name;
  }

  /** Return the box of a token on the picture, in its pixels; null where it has none. */
  box(t, i) {
    const start = 4 * (t * this.tokens + i),
      box = this.arrays.boxes.subarray(start, start + 4);
    return box.length === 4 && box.every(Number.isFinite) ? Array.from(box) : null;
  }

  /** Return the box of a token on its part's own observation; null where it has none. */
  ownBox(p, t, i) {
    const { boxes, start } = this.parts[p];
    return this.partOf[i] === p && boxes !== null && this.present(t, i) ? boxes[i - start] : null;
  }

  /** Return the number of the picture of a step; -1 where there is none. */
  picture(t) {
    if (this.layout.observed === null) return this.arrays.frame[t];
    return t < this.steps ? this.observed(this.layout.observed, t) : -1;
  }

  /** Return the number of the picture of a part's observation. */
  observed(p, t) {
    return this.arrays[`observed_${p}`][t];
  }

  /** Return what was observed of a token of a named part; null where it is not one number. */
  value(t, i) {
    const p = this.partOf[i],
      values = this.arrays[`values_${p}`],
      { start, count } = this.parts[p];
    return values === undefined ? null : values[t * count + i - start];
  }

  /** Return the category of a cell that a token was cut from, such as "key"; empty if unknown. */
  category(t, i) {
    const p = this.partOf[i],
      { words, count, start } = this.parts[p],
      codes = this.arrays[`category_${p}`];
    return codes === undefined ? "" : (words[codes[t * count + i - start]] ?? "");
  }

  /** Return how the policy saw all actions: rows of A numbers; null where that is unknown. */
  distribution(t) {
    return this.distributionRows(this.arrays.distribution, t);
  }

  /** Return rows of A numbers of some distributions; null where they are unknown. */
  distributionRows(distributions, index) {
    const A = this.actions,
      count = this.recording.distribution === "gaussian" ? 3 : 1,
      rows = distributions.subarray(index * count * A, (index + 1) * count * A);
    if (rows.every(Number.isNaN)) return null;
    return Array.from({ length: count }, (_, r) => rows.subarray(r * A, (r + 1) * A));
  }

  /** Return the numbers of an action. */
  action(t) {
    return this.stepRow("action", t);
  }

  /** Say whether an action took one of the A choices. */
  chosen(t, i) {
    return this.arrays.chosen[t * this.actions + i] > 0;
  }

  /** Return the choices or dimensions that there is room to list. */
  shownChoices(t) {
    if (this.arrays.shown_choices) return this.stepRow("shown_choices", t);
    return Array.from({ length: this.actions }, (_, i) => i);
  }

  /** Return the action of a step in words. */
  actionText(t) {
    return this.texts[this.arrays.action_text[t]];
  }

  /** Return the likeliest action in words; the one taken where the distribution is unknown. */
  likeliestText(t) {
    return this.texts[this.arrays.likeliest_text[t]];
  }

  /** Return the numbers of an array at a step. */
  stepRow(name, t) {
    const size = this.arrays[name].length / this.steps;
    return this.arrays[name].subarray(t * size, (t + 1) * size);
  }

  /** Return the entropy of the policy's choice in nats, over all parts of the action; or NaN. */
  policyEntropy(t) {
    const rows = this.distribution(t);
    if (this.recording.distribution !== "probabilities" || rows === null) return NaN;
    const nats = (p) => (p > 0 ? -p * Math.log(p) : 0);
    const bits = this.recording.action_kind === "multi_binary";
    return rows[0].reduce((total, p) => total + nats(p) + (bits ? nats(1 - p) : 0), 0);
  }

  /** Return how the episode ended at a step; empty where it did not. */
  ended(t) {
    return this.arrays.terminated[t] ? "terminated" : this.arrays.truncated[t] ? "truncated" : "";
  }
}
