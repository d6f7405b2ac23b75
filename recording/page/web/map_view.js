// Recorded attention maps: rows of weights, and views of them. The rules are those of the films,
// recording/map_view.py.

import { AttentionView } from "./attention_view.js";
import { display } from "./display.js";
import { sum } from "./numbers.js";

const TINIEST = 1.4e-45;

/** The rows of one map of an episode, as they were recorded. */
class MapRows {
  constructor(episode, index, kind) {
    const facts = episode.recording.maps[index],
      name = `${kind}_${index}`;
    this.heads = facts.stored_heads;
    this.queries = facts.Q;
    this.keys = facts.K;
    this.codes = episode.arrays[name];
    this.scale = episode.arrays[`${name}_scale`];
    this.faint = episode.arrays[`${name}_faint`];
  }

  /** Return the weights that one query of one head gave, (K,). */
  read(t, h, q) {
    const index = (t * this.heads + h) * this.queries + q,
      row = new Float64Array(this.keys);
    const codes = this.codes.subarray(index * this.keys, (index + 1) * this.keys);
    if (!this.scale) return row.map((_, k) => codes[k]);
    const scale = this.scale[index];
    if (!this.faint) return row.map((_, k) => (codes[k] * scale) / 255);
    const weight = (code) =>
      Math.max(code === 1 ? this.faint[index] : ((code - 1) * scale) / 254, TINIEST);
    return row.map((_, k) => (codes[k] ? weight(codes[k]) : 0));
  }
}

/** One map: one head, their mean or their largest; one query, or the mean over them. */
export class MapView extends AttentionView {
  /** `head` is "mean", "max" or a number; `query` a number or null; `soft` before a hard choice. */
  constructor(episode, index, head, query, soft) {
    super(episode, episode.recording.maps[index]);
    this.rows = new MapRows(episode, index, soft ? "soft" : "map");
    this.counts = episode.arrays[`heads_${index}`];
    this.index = index;
    this.head = head;
    this.query = query;
    this.soft = soft;
    this.chooses = this.facts.soft && !soft;
  }

  /** Who attends, in words. */
  get querySource() {
    return this.query === null ? this.facts.query_source : "";
  }

  /** Return which token asks; null where none does, or all do. */
  queryToken(part) {
    if (this.query !== null && this.facts.queries === "tokens") return this.query;
    return this.facts.query_source === display.ego && part.ego !== null
      ? part.start + part.ego
      : null;
  }

  /** Return which map this is, and whose query, in words. */
  lines(t) {
    const title = this.facts.titles[this.head];
    return [title, this.queryTitle(t) + (this.soft ? ", before the choice" : "")];
  }

  queryTitle(t) {
    const { queries, normalized_over } = this.facts;
    if (this.query === null) return this.facts.query_title;
    const unit = normalized_over === "none" ? ", unnormalized" : "";
    const even = normalized_over === "queries" ? ", made to sum to 1" : "";
    if (queries !== "tokens") return `query ${this.query} of ${queries} asks${even}${unit}`;
    const asks = this.absent(t) ? "is absent and asks nothing" : "asks";
    return `${this.episode.name(t, this.query)} ${asks}${even}${unit}`;
  }

  notes(t) {
    const notes = super.notes(t);
    if (!this.facts.head_weights) return notes;
    const counts = this.headCounts(t);
    const text = counts ? Array.from(counts, (count) => count.toFixed(2)).join(", ") : "unknown";
    return [...notes, `heads count ${text}`];
  }

  /** Return how much each head counts; null where that is unknown. */
  headCounts(t) {
    if (!this.counts) return null;
    const H = this.facts.heads,
      counts = this.counts.subarray(t * H, (t + 1) * H);
    return counts.every(Number.isNaN) ? null : counts;
  }

  /** Return one weight for each key from one head, averaged over queries unless one is chosen. */
  headRow(t, h) {
    if (this.query !== null)
      return this.absent(t) ? new Float64Array(this.facts.K) : this.queryRow(t, h, this.query);
    if (this.facts.Q === 1) return this.queryRow(t, h, 0);
    const mean = new Float64Array(this.facts.K);
    let count = 0;
    for (let q = 0; q < this.facts.Q; q++) {
      if (!this.queryPresent(t, q)) continue;
      const row = this.queryRow(t, h, q);
      if (row.every((weight) => weight === 0)) continue;
      row.forEach((weight, k) => (mean[k] += weight));
      count++;
    }
    return mean.map((total) => total / Math.max(count, 1));
  }

  computeRow(t) {
    const H = this.facts.stored_heads;
    if (typeof this.head === "number") return this.headRow(t, Math.min(this.head, H - 1));
    const rows = Array.from({ length: H }, (_, h) => this.headRow(t, h));
    const counts = H > 1 ? this.headCounts(t) : null,
      total = counts ? sum(counts) : 0;
    if (this.head === "max") return rows[0].map((_, k) => Math.max(...rows.map((row) => row[k])));
    return rows[0].map((_, k) =>
      rows.reduce(
        (all, row, h) => all + (total > 0 ? (row[k] * counts[h]) / total : row[k] / H),
        0,
      ),
    );
  }

  /** Return the row of one query as it is shown: by size, and summing to 1 where keys chose. */
  queryRow(t, h, q) {
    const row = this.rows.read(t, h, q).map(Math.abs);
    if (this.facts.normalized_over !== "queries") return row;
    const total = Math.max(sum(row), 1e-30);
    return row.map((weight) => weight / total);
  }

  /** Say whether a query is present. */
  queryPresent(t, q) {
    const { queries, derived, Q } = this.facts;
    if (queries !== "tokens" || derived || Q === 1 || q >= this.episode.tokens) return true;
    return this.episode.present(t, q);
  }

  /** Say whether the chosen token is absent and cannot ask. */
  absent(t) {
    return this.facts.queries === "tokens" && !this.queryPresent(t, this.query);
  }
}
