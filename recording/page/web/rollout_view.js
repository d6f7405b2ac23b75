// Attention rollout, a derived map, from whole matrices. The equation: recording/rollout.py.

import { AttentionView } from "./attention_view.js";
import { display } from "./display.js";
import { MapView } from "./map_view.js";
import { sum } from "./numbers.js";

/** What reaches the readout, or one token, through all layers. */
export class RolloutView extends AttentionView {
  /** `query` is a token, or null for the readout (or the mean over tokens, where there is none). */
  constructor(episode, role, query) {
    const { layers, readout } = episode.recording.roles[role];
    const last = readout === null ? null : episode.recording.maps[readout];
    super(episode, {
      role,
      queries: "tokens",
      drawable: true,
      extra_keys: query === null && last ? last.extra_keys : [],
      normalized_over: "keys",
      mechanism: "",
      soft: false,
      head_weights: false,
    });
    this.views = layers.map((index) => new MapView(episode, index, "mean", null, false));
    this.first = query === null && last ? new MapView(episode, readout, "mean", null, false) : null;
    this.query = query;
    this.last = last;
  }

  /** Who attends, in words. */
  get querySource() {
    return this.query !== null ? "" : this.last ? this.last.querySource : "every token";
  }

  /** Return which token asks; null where none does, or all do. */
  queryToken(part) {
    if (this.query !== null) return this.query;
    return this.querySource === display.ego && part.ego !== null ? part.start + part.ego : null;
  }

  /** Return which map this is, and whose query, in words. */
  lines(t) {
    const asks =
      this.query !== null ? `${this.episode.name(t, this.query)} asks` : `${this.querySource} asks`;
    return [
      `${this.facts.role}, rollout (derived)`,
      `${asks}, through all layers; heads averaged, half of each token taken to pass by`,
    ];
  }

  computeRow(t) {
    const N = this.episode.tokens;
    let reached = this.start(t);
    const extras = reached.slice(N);
    for (const view of [...this.views].reverse())
      reached = this.propagate(t, view, reached.subarray(0, N));
    return Float64Array.from([...reached, ...extras]);
  }

  /** Return what the rollout starts from: one token, the readout's own row, or all tokens. */
  start(t) {
    const N = this.episode.tokens,
      row = new Float64Array(N);
    if (this.query !== null) {
      row[this.query] = this.episode.present(t, this.query) ? 1 : 0;
      return row;
    }
    if (this.first) return this.first.row(t);
    const count = this.episode.presentCount(t);
    return row.map((_, i) => (this.episode.present(t, i) ? 1 / count : 0));
  }

  /** Return weights taken one layer down: v @ normalized(A + I). */
  propagate(t, view, reached) {
    const next = new Float64Array(this.episode.tokens);
    reached.forEach((share, q) => {
      if (share === 0) return;
      const row = this.meanRow(t, view, q),
        total = sum(row) + 1;
      row.forEach((weight, k) => (next[k] += (share * weight) / total));
      next[q] += share / total;
    });
    return next;
  }

  /** Return the row of one query, the mean over heads as they count. */
  meanRow(t, view, q) {
    const H = view.facts.stored_heads,
      counts = view.headCounts(t),
      total = counts ? sum(counts) : 0;
    const row = new Float64Array(this.episode.tokens);
    for (let h = 0; h < H; h++) {
      const part = total > 0 ? counts[h] / total : 1 / H;
      view.queryRow(t, h, q).forEach((weight, k) => (row[k] += weight * part));
    }
    return row;
  }
}
