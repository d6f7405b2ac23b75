// Which map is shown: role, layer, head, whose query, and which token is chosen.

/** Return what is shown at first: the rollout, else the readout's own row, else the last layer. */
function firstShown(episode) {
  const { maps } = episode.recording,
    indices = maps.map((_, i) => i),
    acting = indices.filter((i) => maps[i].role !== "critic");
  const best = foremost(maps, acting.length ? acting : indices);
  return {
    role: maps[best].role,
    map: rolledOut(maps[best]) ? ROLLOUT : best,
    head: "mean",
    query: null,
    own: true,
    soft: false,
    hide: false,
  };
}

/** Return which of some maps goes first: of those over tokens the rollout, a readout, the last. */
function foremost(maps, places) {
  const drawable = places.filter((i) => maps[i].drawable);
  const rank = ({ derived, queries, layer }) =>
    (derived === ROLLOUT ? 2e6 : 0) + (queries === "readout" ? 1e6 : 0) + layer;
  const pool = drawable.length ? drawable : places;
  return pool.reduce((a, b) => (rank(maps[b]) > rank(maps[a]) ? b : a));
}

/** Return what is shown, made possible for an episode: there may be no such head or query. */
function possible(episode, shown) {
  const { maps } = episode.recording,
    base = firstShown(episode);
  const role = maps.some((facts) => facts.role === shown.role) ? shown.role : base.role;
  const wanted = shown.map === ROLLOUT ? rolloutOf(episode, role) : shown.map;
  const computed = wanted === ROLLOUT || (wanted === CAUSAL && scoredFor(episode, role));
  const known = Number.isInteger(wanted) && maps[wanted] && maps[wanted].role === role;
  const map = computed || known ? wanted : bestOf(episode, role);
  const facts = maps[map] ?? null;
  const heads = facts ? facts.stored_heads : 1;
  const head = shown.head === "max" || shown.head < heads ? shown.head : "mean";
  const asked = facts && facts.queries !== "tokens" && facts.Q > 1 && shown.query < facts.Q;
  return {
    role,
    map,
    head: heads > 1 ? head : "mean",
    query: asked ? shown.query : null,
    own: shown.own,
    soft: Boolean(facts && facts.soft && shown.soft),
    hide: Boolean(shown.hide && episode.scored),
  };
}

/** Say whether there is a causal map beside those of a role: it is one of the policy. */
function scoredFor(episode, role) {
  return episode.scored !== null && role === firstShown(episode).role;
}

/** Return the map of a role that is shown at first. */
function bestOf(episode, role) {
  const rolled = rolloutOf(episode, role);
  if (rolled !== null && firstShown(episode).map === ROLLOUT) return rolled;
  return ownMapOf(episode, role);
}

/** Return the last of a role's own maps: the readout's, where there is one. */
function ownMapOf(episode, role) {
  const { maps } = episode.recording;
  const own = maps.map((_, i) => i).filter((i) => maps[i].role === role && !rolledOut(maps[i]));
  return foremost(maps, own);
}

/** The choices above a picture. */
class ViewControls {
  constructor(side) {
    this.side = side;
    const change = (name, read) => (value) => side.show({ [name]: read(value) });
    const asNumber = (value) => (value === "" ? null : /^\d+$/.test(value) ? Number(value) : value);
    this.role = choice("Role", "who attends", change("role", String));
    this.layer = choice("Map", "which layer's map (l, Shift+L)", change("map", asNumber));
    this.head = choice("Head", "which head (h, Shift+H)", change("head", asNumber));
    this.query = choice("Query", "whose row", (value) => this.ask(value));
    this.token = choice("Token", "choose a token", (value) =>
      side.select(value === "" ? null : Number(value)),
    );
    this.soft = choice(
      "Weights",
      "what was read, or the weights before the hard choice",
      change("soft", (v) => v === "soft"),
    );
    this.all = [this.role, this.layer, this.head, this.query, this.soft, this.token];
    this.element = make("div", { class: "views" }, ...this.all.map((one) => one.element));
  }

  ask(value) {
    if (this.side.asksTokens()) this.side.show({ own: value === "own" });
    else this.side.show({ query: value === "" ? null : Number(value) });
  }

  draw() {
    const { side } = this,
      { shown, episode } = side,
      { maps } = episode.recording,
      rolled = rolloutOf(episode, shown.role);
    const roles = [...new Set(maps.map((facts) => facts.role))];
    fill(
      this.role.select,
      roles.map((role) => [role, role]),
      shown.role,
    );
    const layers = maps
      .map((facts, i) => [facts, i])
      .filter(([facts]) => facts.role === shown.role && !rolledOut(facts));
    const listed = layers.map(([facts, i]) => [String(i), mapName(facts)]);
    if (rolled !== null) listed.push([String(rolled), "rollout (derived)"]);
    if (scoredFor(episode, shown.role)) listed.push([CAUSAL, "causal (derived)"]);
    fill(this.layer.select, listed, String(shown.map));
    this.drawMap(maps[shown.map] ?? null);
    fill(this.token.select, ...this.tokens());
  }

  /** Return the tokens under the names that they have at this step, and which is chosen. */
  tokens() {
    const { side } = this,
      { episode, selected } = side,
      t = Math.min(side.t, episode.steps - 1),
      chosen = side.chosen();
    const called = (i) => episode.name(t, i) + (episode.present(t, i) ? "" : ", absent");
    const listed = [["", "none"], ...episode.names.map((_, i) => [String(i), called(i)])];
    if (selected === null) return [listed, ""];
    if (chosen >= 0) return [listed, String(chosen)];
    return [[...listed, ["gone", `${episode.nameOf(selected)}, absent`]], "gone"];
  }

  /** Offer what the map has: heads, queries, weights before a choice. */
  drawMap(facts) {
    const { side } = this,
      { shown } = side,
      heads = facts ? facts.stored_heads : 1;
    const listed = Array.from({ length: heads }, (_, h) => [String(h), `head ${h}`]);
    const mean = facts ? `mean${facts.heads > 1 ? ` of ${facts.heads}` : ""}` : "mean (by rollout)";
    const derived =
      heads > 1
        ? [["mean", mean], ["max", `max of ${heads}`], ...listed]
        : [["mean", heads === 1 && facts && facts.heads === 1 ? "the only head" : mean]];
    fill(this.head.select, derived, String(shown.head));
    const many = facts && facts.queries !== "tokens" && facts.Q > 1;
    fill(this.query.select, ...this.askers(facts, many));
    const kinds = [
      ["read", "as read"],
      ["soft", "before the choice"],
    ];
    fill(this.soft.select, facts && facts.soft ? kinds : [], shown.soft ? "soft" : "read");
  }

  /** Return whose row can be asked for, and whose is shown. */
  askers(facts, many) {
    const { side } = this,
      { shown } = side;
    if (side.asksTokens()) {
      const all = facts || !side.look(shown, null).asking ? "mean over tokens" : "the readout";
      const askers = [
        ["all", all],
        ["own", "the chosen token"],
      ];
      return [askers, shown.own ? "own" : "all"];
    }
    if (!many) return [[], ""];
    const each = Array.from({ length: facts.Q }, (_, q) => [String(q), `${facts.queries} ${q}`]);
    return [[["", "mean"], ...each], String(shown.query ?? "")];
  }
}
