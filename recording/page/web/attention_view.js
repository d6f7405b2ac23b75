// What every view of attention can answer at a step.

import { entropy, largest, sum } from "./numbers.js";

/** A view of attention: one weight per token at each step. */
export class AttentionView {
  constructor(episode, facts) {
    this.episode = episode;
    this.facts = facts;
    this.chooses = false; // whether the weights are those of a hard choice
    this.latest = { t: -1, row: null };
    this.overSteps = null;
    this.signed = false; // whether its numbers speak for or against something
    this.noun = "weight"; // of its numbers
    this.unit = "";
  }

  /** Return one of its numbers in few characters. */
  format(weight, digits = 2) {
    return weight.toFixed(digits);
  }

  /** Return the number that fills a bar, from those of a step. */
  top(weights) {
    return largest(weights) || 1e-9;
  }

  /** Return the sum of some of its numbers in words. */
  describeSum(total) {
    return `${this.noun}, sum ${total.toFixed(2)}`;
  }

  /** Say whether there is attention at a step. */
  isKnown(t) {
    return this.episode.arrays.attended[t] > 0;
  }

  /** Return one weight for each key, (K,). */
  row(t) {
    if (this.latest.t !== t) this.latest = { t, row: this.computeRow(t) };
    return this.latest.row;
  }

  /** Compute one weight for each key: every kind of view has its own way.
   * @returns {Float64Array} */
  computeRow(t) {
    throw new Error(`this view computes no weights at step ${t}`);
  }

  /** Return one weight for each token, (N,); zeros where the map is over something else. */
  weights(t) {
    if (!this.facts.drawable) return new Float64Array(this.episode.tokens);
    return this.row(t).subarray(0, this.episode.tokens);
  }

  /** Return names and weights of the keys beside the tokens. */
  extras(t) {
    const names = this.facts.extra_keys,
      row = this.row(t);
    return names.map((name, i) => [name, row[row.length - names.length + i]]);
  }

  /** Return what each present token would weigh if all weighed the same. */
  even(t) {
    return sum(this.weights(t)) / Math.max(this.episode.presentCount(t), 1);
  }

  /** Return the mechanism, and the keys that are not drawn, in words. */
  notes(t) {
    const notes = this.facts.mechanism ? [this.facts.mechanism] : [];
    const extras = this.extras(t).map(([name, weight]) => `${name} ${weight.toFixed(2)}`);
    if (extras.length) notes.push(`not drawn: ${extras.join(", ")}`);
    return notes;
  }

  /** Return how far the weights spread, in words. */
  spread(t) {
    const present = this.episode.presentCount(t),
      weights = this.weights(t);
    if (!this.facts.drawable || !present) return "";
    const of = `${weights.reduce((n, w) => n + (w > 0), 0)} of ${present} tokens`;
    if (this.facts.normalized_over === "none") {
      const read = this.facts.soft ? `read ${of}, ` : "";
      const mean = (sum(weights) / present).toFixed(3);
      return `${read}weight ${mean} on average, ${Math.max(...weights).toFixed(3)} at most`;
    }
    const nats = entropy(weights),
      count = Math.exp(nats);
    if (this.chooses) return `read ${of} (entropy ${nats.toFixed(2)})`;
    const effective = count.toFixed(count < 9.95 ? 1 : 0);
    return `spread over ${effective} of ${present} tokens (entropy ${nats.toFixed(2)})`;
  }

  /** Return weights, their spread, and how far they moved, at every step. */
  allSteps() {
    if (this.overSteps) return this.overSteps;
    const { steps, tokens } = this.episode,
      weights = new Float32Array(steps * tokens);
    const spread = new Float64Array(steps),
      shift = new Float64Array(steps);
    for (let t = 0; t < steps; t++) {
      const row = this.weights(t);
      weights.set(row, t * tokens);
      spread[t] = !this.isKnown(t) ? NaN : sum(row) > 0 ? Math.exp(entropy(row)) : 0;
      if (t > 0) shift[t] = this.isKnown(t) && this.isKnown(t - 1) ? this.shiftFrom(t, weights) : 0;
    }
    this.overSteps = { weights, spread, shift };
    return this.overSteps;
  }

  /** Return the share of the weight that lies elsewhere than before; objects are followed. */
  shiftFrom(t, weights) {
    const sharesAt = (step) => {
      const N = this.episode.tokens,
        row = weights.subarray(step * N, (step + 1) * N);
      const total = sum(row),
        shares = new Map();
      row.forEach((weight, i) => {
        const target = this.episode.target(step, i);
        if (weight > 0) shares.set(target, (shares.get(target) ?? 0) + weight / total);
      });
      return shares;
    };
    const [old, now] = [sharesAt(t - 1), sharesAt(t)];
    if (!old.size || !now.size) return 0;
    let shift = 0;
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      shift += Math.abs((now.get(key) ?? 0) - (old.get(key) ?? 0)) / 2;
    }
    return shift;
  }
}
