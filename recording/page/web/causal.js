// What removing tokens does: the causal map, and what the policy would have done without a token.

const CAUSAL = "causal";

/** The steps of an episode that were scored, with each token removed. */
class Scored {
  constructor(episode) {
    const { arrays, facts } = episode;
    Object.assign(this, { episode, arrays, unit: facts.unit });
    this.places = new Map(Array.from(arrays.scored, (t, s) => [t, s]));
  }

  /** Say whether a step was scored. */
  has(t) {
    return this.places.has(t);
  }

  /** Return a change in few characters: small ones are the rule. */
  said(change) {
    return change < 1e-4 ? "0" : String(Number(change.toPrecision(2)));
  }

  /** Return how much the policy changes without each token, (N,); zeros where nobody computed it. */
  causal(t) {
    const N = this.episode.tokens,
      s = this.places.get(t);
    if (s === undefined) return new Float64Array(N);
    return Float64Array.from(this.arrays.causal.subarray(s * N, (s + 1) * N));
  }

  /** Return the tokens there that the environment says matter; null where it does not say. */
  truth(t) {
    const N = this.episode.tokens,
      s = this.places.get(t);
    if (s === undefined || !this.arrays.true) return null;
    const row = this.arrays.true.subarray(s * N, (s + 1) * N);
    return [...row.keys()].filter((i) => row[i] && this.episode.present(t, i));
  }

  /** Return what the policy says without a token: rows of actions, an action and a value; or null.
   * Rows are null where they were left out, the value is NaN where it cannot be told. */
  without(t, i) {
    const s = this.places.get(t);
    if (s === undefined || !this.episode.present(t, i)) return null;
    const at = s * this.episode.tokens + i,
      { hidden_distribution: said, hidden_action: actions, hidden_value: values } = this.arrays;
    const size = actions.length / (this.places.size * this.episode.tokens);
    return {
      rows: said ? this.episode.rowsOf(said, at) : null,
      action: actions.subarray(at * size, (at + 1) * size),
      value: values ? values[at] : NaN,
    };
  }
}

/** How much the policy changes when each token is removed: one more map of the recording. */
class Causal extends Look {
  constructor(episode, role) {
    super(episode, {
      role,
      queries: "removal",
      keys: "tokens",
      drawable: true,
      extra_keys: [],
      normalised_over: "none",
      mechanism: "",
      soft: false,
      head_weights: false,
    });
    this.noun = "change";
    this.unit = ` ${episode.scored.unit}`;
    this.query = null;
    this.chooses = false;
  }

  /** Nobody asks here. */
  asker() {
    return null;
  }

  said(change) {
    return this.episode.scored.said(change);
  }

  known(t) {
    return super.known(t) && this.episode.scored.has(t);
  }

  computed(t) {
    return this.episode.scored.causal(t);
  }

  lines(t) {
    const words = `how much the policy changes without each token, in ${this.episode.scored.unit}`;
    return ["causal map, leave one out (derived)", this.known(t) ? words : "not computed here"];
  }

  spread(t) {
    if (!this.known(t)) return "";
    const changes = this.weights(t),
      mean = sum(changes) / Math.max(this.episode.presentCount(t), 1);
    return `change ${this.said(mean)} on average, ${this.said(largest(changes))} at most`;
  }
}
