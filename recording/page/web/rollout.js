// Attention rollout, a derived map, from whole matrices. The equation: recording/rollout.py.

const ROLLOUT = "rollout";

/** Say whether a recorded map is the rollout of others. */
function rolledOut(facts) {
  return facts.derived === ROLLOUT;
}

/** Say whether a place among the maps of an episode is a rollout, computed or recorded. */
function isRollout(episode, map) {
  return map === ROLLOUT || (Number.isInteger(map) && rolledOut(episode.recording.maps[map]));
}

/** Return the place of a role's rollout: that of the page from whole matrices, else the recorded. */
function rolloutOf(episode, role) {
  const { reason, recorded } = episode.recording.rollout[role];
  return reason ? recorded : ROLLOUT;
}

/** What reaches the readout, or one token, through all layers. */
class Rollout extends Look {
  /** `query` is a token, or null for the readout (or the mean over tokens, where there is none). */
  constructor(episode, role, query) {
    const { layers, readout } = episode.recording.rollout[role];
    const last = readout === null ? null : episode.recording.maps[readout];
    super(episode, {
      role,
      queries: "tokens",
      drawable: true,
      extra_keys: query === null && last ? last.extra_keys : [],
      normalised_over: "keys",
      mechanism: "",
      soft: false,
      head_weights: false,
    });
    this.views = layers.map((index) => new View(episode, index, "mean", null, false));
    this.first = query === null && last ? new View(episode, readout, "mean", null, false) : null;
    Object.assign(this, { query, chooses: false, asking: last });
  }

  get who() {
    return this.query !== null ? "" : this.asking ? this.asking.who : "every token";
  }

  asker(part) {
    if (this.query !== null) return this.query;
    return this.who === EGO && part.ego !== null ? part.start + part.ego : null;
  }

  lines(t) {
    const asks =
      this.query !== null ? `${this.episode.name(t, this.query)} asks` : `${this.who} asks`;
    return [
      `${this.facts.role}, rollout through all layers (derived)`,
      `${asks}; heads averaged, half of each token taken to pass by`,
    ];
  }

  computed(t) {
    const N = this.episode.tokens;
    let reached = this.start(t);
    const extras = reached.slice(N);
    for (const view of [...this.views].reverse())
      reached = this.through(t, view, reached.subarray(0, N));
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

  /** Return weights taken one layer down: v @ normalised(A + I). */
  through(t, view, reached) {
    const next = new Float64Array(this.episode.tokens);
    reached.forEach((share, q) => {
      if (share === 0) return;
      const row = this.mixed(t, view, q),
        total = sum(row) + 1;
      row.forEach((weight, k) => (next[k] += (share * weight) / total));
      next[q] += share / total;
    });
    return next;
  }

  /** Return the row of one query, the mean over heads as they count. */
  mixed(t, view, q) {
    const H = view.facts.stored_heads,
      counts = view.headCounts(t),
      total = counts ? sum(counts) : 0;
    const row = new Float64Array(this.episode.tokens);
    for (let h = 0; h < H; h++) {
      const part = total > 0 ? counts[h] / total : 1 / H;
      view.asked(t, h, q).forEach((weight, k) => (row[k] += weight * part));
    }
    return row;
  }
}

/** Give the sides for which nobody asked for a map the same one: the rollout where all have it. */
function agree(sides) {
  const asked = sides.find((side) => side.asked),
    wished = sides.some((side) => firstShown(side.episode).map === ROLLOUT);
  const all = sides.every((side) => rolloutOf(side.episode, side.shown.role) !== null);
  const rolled = asked ? isRollout(asked.episode, asked.shown.map) : wished && all;
  for (const side of sides.filter((one) => !one.asked)) {
    const map = rolled ? ROLLOUT : ownMapOf(side.episode, side.shown.role);
    side.shown = possible(side.episode, { ...side.shown, map });
  }
}
