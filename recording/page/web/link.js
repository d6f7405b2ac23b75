// The state of the page in its address, such as #t=120&layer=1&head=3, and back.

const LINK_EVERY = 250; // milliseconds; browsers refuse more than a few changes per second

/** Keeps the page and its address the same. */
class Link {
  constructor(app) {
    this.app = app;
    this.pending = null;
  }

  /** Write the state into the address, at most a few times per second. */
  remember() {
    if (this.pending) return;
    this.pending = setTimeout(() => {
      this.pending = null;
      const link = `#${linkOf(this.app)}`;
      if (link !== location.hash) history.replaceState(null, "", link);
    }, LINK_EVERY);
  }

  /** Take the state from the address; one that says nothing shows two recordings, where there are. */
  follow() {
    const { app } = this,
      wanted = readLink(location.hash || (app.many() ? "#recording2=1" : ""));
    app.settings.opacity = wanted.opacity ?? MOST_OPAQUE;
    app.settings.scale = wanted.scale ?? 0;
    app.settings.truth = wanted.truth;
    app.sides = app.sides.slice(0, wanted.sides.length);
    wanted.sides.forEach((one, place) => this.open(one, place, wanted.t ?? 0));
    app.clock.seek(wanted.t ?? 0);
  }

  /** Show at a place what a link says. */
  open(one, place, t) {
    const { app } = this;
    const found = app.episodes.findIndex(
      (e) => e.recordingIndex === one.recording && e.index === one.episode,
    );
    const index = Math.max(0, found),
      asked = one.role !== null || one.layer !== null || one.head !== "mean",
      side = app.open(place, index, shownBy(app.episodes[index], one), asked);
    if (one.layer === null) side.note(firstShown(side.episode));
    if (one.token === null || one.token >= side.episode.tokens) return;
    const at = clamp(t, 0, side.episode.steps - 1);
    side.selected = { token: one.token, object: one.object, at };
    side.curves.redraw();
  }
}

/** Return the state of the page as it stands after the # of its address. */
function linkOf(app) {
  const link = new URLSearchParams({ t: String(app.clock.t) });
  app.sides.forEach((side, n) => {
    for (const [name, value] of sideLink(app, side))
      link.set(name + (n ? String(n + 1) : ""), value);
  });
  if (app.settings.opacity !== MOST_OPAQUE) link.set("opacity", app.settings.opacity.toFixed(2));
  if (app.settings.scale) link.set("scale", String(app.settings.scale));
  if (!app.settings.truth) link.set("truth", "0");
  return link.toString();
}

function sideLink(app, side) {
  const { shown, episode, selected } = side,
    facts = episode.recording.maps[shown.map];
  const pairs = [
    ["recording", app.many() ? episode.recordingIndex : null],
    ["episode", episode.index],
    ["role", shown.role === firstShown(episode).role ? null : shown.role],
    ["layer", facts ? (rolledOut(facts) ? ROLLOUT : facts.layer) : shown.map],
    ["part", facts && facts.part ? facts.part : null],
    ["head", shown.head],
    ["query", shown.query],
    ["weights", shown.soft ? "soft" : null],
    ["token", selected === null ? null : selected.token],
    ["object", selected === null || selected.object === null ? null : selected.object],
    ["row", selected !== null && !shown.own ? "mean" : null],
    ["hide", selected !== null && shown.hide ? 1 : null],
  ];
  return pairs.filter(([, value]) => value !== null).map(([name, value]) => [name, String(value)]);
}

/** Read an address: what is not understood is left as it is at first. */
function readLink(hash) {
  const link = new URLSearchParams(hash.replace(/^#/, ""));
  const ends = link.has("episode2") || link.has("recording2") ? ["", "2"] : [""];
  const opacity = link.has("opacity") ? Number(link.get("opacity")) : NaN;
  return {
    t: whole(link, "t"),
    opacity: Number.isFinite(opacity) ? clamp(opacity, 0, 1) : null,
    scale: whole(link, "scale"),
    truth: link.get("truth") !== "0",
    sides: sameLayer(ends.map((end) => readSide(link, end))),
  };
}

/** Return a number of a link; null where it is none. */
function whole(link, name) {
  const text = link.get(name) ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** Return what a link says of a side; its names end in "" or "2". */
function readSide(link, end) {
  const text = (name) => link.get(name + end),
    count = (name) => whole(link, name + end);
  const object = text("object") ?? "";
  return {
    recording: count("recording") ?? 0,
    episode: count("episode") ?? 0,
    role: text("role"),
    layer: [ROLLOUT, CAUSAL].find((map) => map === text("layer")) ?? count("layer"),
    part: text("part"),
    head: text("head") === "max" ? "max" : (count("head") ?? "mean"),
    query: count("query"),
    soft: text("weights") === "soft",
    token: count("token"),
    object: /^\d{1,18}$/.test(object) ? BigInt(object) : null,
    own: text("row") !== "mean",
    hide: text("hide") === "1",
  };
}

/** Give a side for which a link names no layer the layer of the other side. */
function sameLayer(sides) {
  const named = sides.find((one) => one.layer !== null);
  return sides.map((one) => {
    if (!named || one.layer !== null || one.role !== named.role) return one;
    return { ...one, layer: named.layer, part: one.part ?? named.part };
  });
}

/** Return what a link asks to show of an episode. */
function shownBy(episode, wanted) {
  const base = firstShown(episode),
    { maps } = episode.recording;
  const role = wanted.role ?? base.role;
  let map = wanted.layer; // a number of a layer, until its map is found
  if (typeof wanted.layer === "number") {
    const fits = (facts) =>
      facts.role === role &&
      facts.layer === wanted.layer &&
      !rolledOut(facts) &&
      (wanted.part === null || facts.part === wanted.part);
    const found = maps.findIndex((facts) => fits(facts) && facts.drawable);
    map = found >= 0 ? found : maps.findIndex(fits);
  }
  const own = wanted.head !== "mean" && (map === null || map === ROLLOUT);
  if (own && maps.some((facts) => facts.role === role)) map = ownMapOf(episode, role);
  return possible(episode, {
    ...base,
    role,
    map,
    head: wanted.head,
    query: wanted.query,
    own: wanted.own,
    soft: wanted.soft,
    hide: wanted.hide,
  });
}
