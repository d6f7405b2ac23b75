// What every way to look at attention answers at a step.

const EGO = "the agent's own token";

/** What every way to look at attention answers: one weight per token at each step. */
class Look {
  constructor(episode, facts) {
    Object.assign(this, { episode, facts });
    this.latest = { t: -1, row: null };
    this.whole = null;
    this.noun = "weight"; // what its numbers are called
    this.unit = "";
  }

  /** Return one of its numbers in few characters. */
  said(weight, digits = 2) {
    return weight.toFixed(digits);
  }

  /** Say whether there is something to look at. */
  known(t) {
    return this.episode.arrays.attended[t] > 0;
  }

  /** Return one weight for each key, (K,). */
  row(t) {
    if (this.latest.t !== t) this.latest = { t, row: this.computed(t) };
    return this.latest.row;
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

  /** Return what each token that is there would weigh if all weighed the same. */
  even(t) {
    return sum(this.weights(t)) / Math.max(this.episode.presentCount(t), 1);
  }

  /** Return what else belongs to the truth, in words. */
  notes(t) {
    const notes = this.facts.mechanism ? [this.facts.mechanism] : [];
    const extras = this.extras(t).map(([name, weight]) => `${name} ${weight.toFixed(2)}`);
    if (extras.length) notes.push(`not drawn: ${extras.join(", ")}`);
    return notes;
  }

  /** Say how far the weights spread, in words. */
  spread(t) {
    const present = this.episode.presentCount(t),
      weights = this.weights(t);
    if (!this.facts.drawable || !present) return "";
    const of = `${weights.reduce((n, w) => n + (w > 0), 0)} of ${present} tokens`;
    if (this.facts.normalised_over === "none") {
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

  /** Return what the view says at every step: weights, their spread, and how far they moved. */
  all() {
    if (this.whole) return this.whole;
    const { steps, tokens } = this.episode,
      weights = new Float32Array(steps * tokens);
    const spread = new Float64Array(steps),
      shift = new Float64Array(steps);
    for (let t = 0; t < steps; t++) {
      const own = this.weights(t);
      weights.set(own, t * tokens);
      spread[t] = !this.known(t) ? NaN : sum(own) > 0 ? Math.exp(entropy(own)) : 0;
      if (t > 0) shift[t] = this.known(t) && this.known(t - 1) ? this.moved(t, weights) : 0;
    }
    this.whole = { weights, spread, shift };
    return this.whole;
  }

  /** Return the share of the weight that lies elsewhere than before; objects are followed. */
  moved(t, weights) {
    const keyed = (at) => {
      const own = weights.subarray(at * this.episode.tokens, (at + 1) * this.episode.tokens);
      const total = sum(own),
        shares = new Map();
      own.forEach((weight, i) => {
        const spot = this.episode.spot(at, i);
        if (weight > 0) shares.set(spot, (shares.get(spot) ?? 0) + weight / total);
      });
      return shares;
    };
    const [old, now] = [keyed(t - 1), keyed(t)];
    if (!old.size || !now.size) return 0;
    let moved = 0;
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      moved += Math.abs((now.get(key) ?? 0) - (old.get(key) ?? 0)) / 2;
    }
    return moved;
  }
}

/** Return the sum of numbers. */
function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Return the entropy of weights, as shares of their sum, in nats. */
function entropy(weights) {
  const total = sum(weights);
  let nats = 0;
  for (const weight of weights) {
    if (weight > 0) nats -= (weight / total) * Math.log(weight / total);
  }
  return nats;
}
