// Attention maps: rows of weights, and the ways to look at them. The rules are those of the films.

const TINIEST = 1.4e-45;

/** The rows of one map of an episode, as they were recorded. */
class Rows {
  constructor(episode, index, kind) {
    const facts = episode.recording.maps[index],
      name = `${kind}_${index}`;
    Object.assign(this, { heads: facts.stored_heads, queries: facts.Q, keys: facts.K });
    this.codes = episode.arrays[name];
    this.scale = episode.arrays[`${name}_scale`];
    this.faint = episode.arrays[`${name}_faint`];
  }

  /** Return the weights that one query of one head gave, (K,). */
  read(t, h, q) {
    const at = (t * this.heads + h) * this.queries + q,
      row = new Float64Array(this.keys);
    const codes = this.codes.subarray(at * this.keys, (at + 1) * this.keys);
    if (!this.scale) return row.map((_, k) => codes[k]);
    const scale = this.scale[at];
    if (!this.faint) return row.map((_, k) => (codes[k] * scale) / 255);
    const weight = (code) =>
      Math.max(code === 1 ? this.faint[at] : ((code - 1) * scale) / 254, TINIEST);
    return row.map((_, k) => (codes[k] ? weight(codes[k]) : 0));
  }
}

/** One map: one head, their mean or their largest; one query, or the mean over them. */
class View extends Look {
  /** `head` is "mean", "max" or a number; `query` a number or null; `soft` before a hard choice. */
  constructor(episode, index, head, query, soft) {
    super(episode, episode.recording.maps[index]);
    this.rows = new Rows(episode, index, soft ? "soft" : "map");
    this.counts = episode.arrays[`heads_${index}`];
    Object.assign(this, { index, head, query, soft });
    this.chooses = this.facts.soft && !soft;
  }

  /** Who attends, in words. */
  get who() {
    return this.query === null ? this.facts.who : "";
  }

  /** Which token asks; null where none does, or all do. */
  asker(part) {
    if (this.query !== null && this.facts.queries === "tokens") return this.query;
    return this.facts.who === EGO && part.ego !== null ? part.start + part.ego : null;
  }

  lines(t) {
    const { role, layer, part, heads, asks } = this.facts;
    if (rolledOut(this.facts)) return [`${role}, rollout through all layers (derived)`, asks];
    const words = `${role}, layer ${layer}${part ? `, ${part}` : ""}, ${this.headWords(heads)}`;
    return [words, this.queryWords(t) + (this.soft ? ", before the choice" : "")];
  }

  headWords(heads) {
    if (heads === 1) return "the only head";
    if (this.head === "max") return `largest of ${heads} heads (derived)`;
    if (this.head !== "mean") return `head ${this.head}`;
    return `mean of ${heads} heads${this.facts.head_weights ? " as they count" : ""}`;
  }

  queryWords(t) {
    const { queries, normalised_over } = this.facts;
    if (this.query === null) return this.facts.asks;
    const unit = normalised_over === "none" ? ", unnormalised" : "";
    const even = normalised_over === "queries" ? ", made to sum to 1" : "";
    if (queries !== "tokens") return `query ${this.query} of ${queries} asks${even}${unit}`;
    const there = this.absent(t) ? "is absent and asks nothing" : "asks";
    return `${this.episode.name(t, this.query)} ${there}${even}${unit}`;
  }

  notes(t) {
    const notes = super.notes(t);
    if (!this.facts.head_weights) return notes;
    const counts = this.headCounts(t);
    const said = counts ? Array.from(counts, (count) => count.toFixed(2)).join(", ") : "unknown";
    return [...notes, `heads count ${said}`];
  }

  /** Return how much each head counts; null where nobody said. */
  headCounts(t) {
    if (!this.counts) return null;
    const H = this.facts.heads,
      counts = this.counts.subarray(t * H, (t + 1) * H);
    return counts.every(Number.isNaN) ? null : counts;
  }

  /** Return one weight for each key from one head, averaged over queries unless one is chosen. */
  headRow(t, h) {
    if (this.query !== null)
      return this.absent(t) ? new Float64Array(this.facts.K) : this.asked(t, h, this.query);
    if (this.facts.Q === 1) return this.asked(t, h, 0);
    const mean = new Float64Array(this.facts.K);
    let count = 0;
    for (let q = 0; q < this.facts.Q; q++) {
      if (!this.asking(t, q)) continue;
      const row = this.asked(t, h, q);
      if (row.every((weight) => weight === 0)) continue;
      row.forEach((weight, k) => (mean[k] += weight));
      count++;
    }
    return mean.map((total) => total / Math.max(count, 1));
  }

  computed(t) {
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
  asked(t, h, q) {
    const row = this.rows.read(t, h, q).map(Math.abs);
    if (this.facts.normalised_over !== "queries") return row;
    const total = Math.max(sum(row), 1e-30);
    return row.map((weight) => weight / total);
  }

  /** Say whether a query is there: of tokens those that are present. */
  asking(t, q) {
    const { queries, derived, Q } = this.facts;
    if (queries !== "tokens" || derived || Q === 1 || q >= this.episode.tokens) return true;
    return this.episode.present(t, q);
  }

  /** Say whether the chosen token is not there to ask. */
  absent(t) {
    return this.facts.queries === "tokens" && !this.asking(t, this.query);
  }
}

/** Return the way to look at an episode that shows what is wanted. `query` is a number or null. */
function lookAt(episode, { role, map, head, soft }, query) {
  if (map === ROLLOUT) return new Rollout(episode, role, query);
  if (map === CAUSAL) return new Causal(episode, role);
  return new View(episode, map, head, query, soft && episode.recording.maps[map].soft);
}
