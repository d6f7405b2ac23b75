// What removing tokens does to the policy, at the steps that were scored.

/** The steps of an episode that were scored, with each token removed. */
export class RemovalScores {
  constructor(episode) {
    const { arrays, facts } = episode;
    this.episode = episode;
    this.arrays = arrays;
    this.unit = facts.unit;
    this.rows = new Map(Array.from(arrays.scored, (t, s) => [t, s]));
  }

  /** Say whether a step was scored. */
  has(t) {
    return this.rows.has(t);
  }

  /** Return a change in few characters: small ones are the rule. */
  format(change) {
    return change < 1e-4 ? "0" : String(Number(change.toPrecision(2)));
  }

  /** Return how much the policy changes without each token, (N,); zeros where it is not known. */
  causal(t) {
    const N = this.episode.tokens,
      s = this.rows.get(t);
    if (s === undefined) return new Float64Array(N);
    return Float64Array.from(this.arrays.causal.subarray(s * N, (s + 1) * N));
  }

  /** Return the present tokens that the environment says matter; null where it does not say. */
  truth(t) {
    const N = this.episode.tokens,
      s = this.rows.get(t);
    if (s === undefined || !this.arrays.true) return null;
    const row = this.arrays.true.subarray(s * N, (s + 1) * N);
    return [...row.keys()].filter((i) => row[i] && this.episode.present(t, i));
  }

  /** Return the policy without a token: rows of actions, the likeliest in words, a value; or null.
   * Rows are null where they were left out, the value is NaN where it is unknown. */
  without(t, i) {
    const s = this.rows.get(t);
    if (s === undefined || !this.episode.present(t, i)) return null;
    const index = s * this.episode.tokens + i,
      {
        hidden_distribution: distributions,
        hidden_text: texts,
        hidden_value: values,
      } = this.arrays;
    return {
      rows: distributions ? this.episode.distributionRows(distributions, index) : null,
      action: this.episode.texts[texts[index]],
      value: values ? values[index] : NaN,
    };
  }
}
