// One episode: what was seen, done and thought at each step. Attention is in maps.js.

const ABSENT_ID = -1n;

/** The steps of an episode. `t` may be one more than the last: the picture that it led to. */
class Episode {
  constructor(recording, facts, arrays) {
    Object.assign(this, { recording, facts, arrays });
    this.steps = facts.steps;
    this.tokens = recording.tokens;
    this.parts = recording.parts;
    this.plan = facts.plan;
    this.actions = recording.action_names.length;
    this.length = arrays.frame.length; // one more than steps where the end was pictured
    this.names = this.parts.flatMap((part) => part.names);
    this.partOf = this.parts.flatMap((part, p) => part.names.map(() => p));
    this.returns = new Float64Array(this.steps);
    arrays.reward.reduce((sum, reward, t) => (this.returns[t] = sum + reward), 0);
    this.scored = arrays.causal ? new Scored(this) : null;
  }

  /** Say whether a token is there. */
  present(t, i) {
    return this.arrays.present[t * this.tokens + i] > 0;
  }

  /** Return how many tokens are there. */
  presentCount(t) {
    const start = t * this.tokens;
    let count = 0;
    for (let i = 0; i < this.tokens; i++) count += this.arrays.present[start + i];
    return count;
  }

  /** Return the identity of the object that a token is; null where it has none. */
  identity(t, i) {
    const id = this.arrays.ids[t * this.tokens + i];
    return id === ABSENT_ID ? null : id;
  }

  /** Return what tells a spot of attention from others: an object, or a token that is none. */
  spot(t, i) {
    const id = this.identity(t, i);
    return id === null ? `slot ${i}` : `object ${id} of ${this.parts[this.partOf[i]].key}`;
  }

  /** Return where a selected token is at a step: an object may have moved to another one of its
   * kind, and of a history to one as many steps back; or -1. */
  find(t, selected) {
    if (selected === null) return -1;
    if (selected.object === null) return selected.token;
    const { start, names } = this.parts[this.partOf[selected.token]];
    for (let i = start; i < start + names.length; i++) {
      if (this.identity(t, i) === selected.object && this.present(t, i)) return i;
    }
    return -1;
  }

  /** Return the name of a token; an object goes by its own number. `dated` says how old it is. */
  name(t, i, dated = true) {
    return this.called(i, this.identity(t, i), dated);
  }

  /** Return the name of a token that was chosen, whoever is in its place by then. */
  nameOf({ token, object, at }) {
    return object === null ? this.name(at, token) : this.called(token, object);
  }

  called(i, id, dated = true) {
    const { kind, offset } = this.parts[this.partOf[i]];
    if (kind !== "entities") return this.names[i];
    const name = entityName(this.names[i], id);
    return dated && offset ? `${name}, ${ago(offset)}` : name;
  }

  /** Return the box of a token on the stage's picture, in its pixels; null where it has none. */
  box(t, i) {
    if (this.plan.observed !== null) return this.ownBox(this.plan.observed, t, i);
    if (!this.plan.stage.includes(this.partOf[i])) return null;
    const at = 4 * (t * this.tokens + i),
      box = this.arrays.boxes.subarray(at, at + 4);
    return box.every(Number.isFinite) && this.present(t, i) ? Array.from(box) : null;
  }

  /** Return the box of a token on its part's own observation; null where it has none. */
  ownBox(p, t, i) {
    const part = this.parts[p],
      within = i - part.start;
    const own = this.partOf[i] === p && part.boxes !== null && this.present(t, i);
    return own ? part.boxes[within] : null;
  }

  /** Return the number of the picture on the stage; -1 where there is none. */
  stagePicture(t) {
    if (this.plan.observed === null) return this.arrays.frame[t];
    return t < this.steps ? this.observed(this.plan.observed, t) : -1;
  }

  /** Return the number of the picture of a part's observation. */
  observed(p, t) {
    return this.arrays[`observed_${p}`][t];
  }

  /** Return what was observed of a token of a named part; null where it is not one number. */
  value(p, t, within) {
    const values = this.arrays[`values_${p}`],
      size = this.parts[p].names.length;
    return values === undefined ? null : values[t * size + within];
  }

  /** Return what is known to stand where a token was cut from, such as "key"; empty if nothing. */
  held(t, i) {
    const p = this.partOf[i],
      { words, names, start } = this.parts[p],
      codes = this.arrays[`held_${p}`];
    return codes === undefined ? "" : (words[codes[t * names.length + i - start]] ?? "");
  }

  /** Return how the policy saw all actions: rows of A numbers; null where it did not say. */
  distribution(t) {
    return this.rowsOf(this.arrays.distribution, t);
  }

  /** Return rows of A numbers of some distributions; null where they are unknown. */
  rowsOf(distributions, at) {
    const rows = this.recording.distribution === "gaussian" ? 3 : 1,
      size = rows * this.actions;
    const said = distributions.subarray(at * size, (at + 1) * size);
    if (said.every(Number.isNaN)) return null;
    return Array.from({ length: rows }, (_, r) =>
      said.subarray(r * this.actions, (r + 1) * this.actions),
    );
  }

  /** Return the numbers of an action. */
  action(t) {
    const size = this.arrays.action.length / this.steps;
    return this.arrays.action.subarray(t * size, (t + 1) * size);
  }

  /** Return which of the A choices an action took; none of a continuous one. */
  chosen(t, values = this.action(t)) {
    const { action_kind: kind, action_sizes: sizes } = this.recording;
    const taken = new Set();
    if (kind === "continuous") return taken;
    let start = 0;
    values.forEach((value, part) => {
      if (kind === "multi_binary") {
        if (value > 0.5) taken.add(part);
      } else {
        taken.add(start + value);
        start += sizes[part];
      }
    });
    return taken;
  }

  /** Return the numbers of the likeliest action; of the one taken where the policy did not say. */
  likeliest(t) {
    const { action_kind: kind, action_sizes: sizes } = this.recording,
      said = this.distribution(t);
    if (said === null) return this.action(t);
    if (kind === "continuous") return said[0];
    if (kind === "multi_binary") return said[0].map((p) => Number(p > 0.5));
    let start = 0;
    return sizes.map((size) => {
      const own = said[0].subarray(start, (start += size));
      return own.indexOf(Math.max(...own));
    });
  }

  /** Return an action in words. */
  actionText(t, values = this.action(t)) {
    if (this.recording.action_kind === "continuous") {
      return `(${Array.from(values, (value) => value.toFixed(2)).join(", ")})`;
    }
    const taken = [...this.chosen(t, values)]
      .sort((a, b) => a - b)
      .filter((i) => i >= 0 && i < this.actions);
    return taken.map((i) => this.recording.action_names[i]).join(", ") || "nothing";
  }

  /** Return the entropy of the policy's choice in nats, over all parts of the action; or NaN. */
  policyEntropy(t) {
    const said = this.distribution(t);
    if (this.recording.distribution !== "probabilities" || said === null) return NaN;
    const nats = (p) => (p > 0 ? -p * Math.log(p) : 0);
    const bits = this.recording.action_kind === "multi_binary";
    return said[0].reduce((sum, p) => sum + nats(p) + (bits ? nats(1 - p) : 0), 0);
  }

  /** Say how the episode ended at a step; empty where it did not. */
  ended(t) {
    return this.arrays.terminated[t] ? "terminated" : this.arrays.truncated[t] ? "truncated" : "";
  }
}
