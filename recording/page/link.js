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
      side = app.open(place, index, shownBy(app.episodes[index], one));
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
  const whole = (name) => (/^\d{1,9}$/.test(link.get(name) ?? "") ? Number(link.get(name)) : null);
  const sides = [""];
  if (link.has("episode2") || link.has("recording2")) sides.push("2");
  return {
    t: whole("t"),
    opacity: Number.isFinite(Number(link.get("opacity") ?? NaN))
      ? clamp(Number(link.get("opacity")), 0, 1)
      : null,
    scale: whole("scale"),
    sides: sides.map((end) => ({
      recording: whole(`recording${end}`) ?? 0,
      episode: whole(`episode${end}`) ?? 0,
      role: link.get(`role${end}`),
      layer:
        [ROLLOUT, CAUSAL].find((map) => map === link.get(`layer${end}`)) ?? whole(`layer${end}`),
      part: link.get(`part${end}`),
      head: link.get(`head${end}`) === "max" ? "max" : (whole(`head${end}`) ?? "mean"),
      query: whole(`query${end}`),
      soft: link.get(`weights${end}`) === "soft",
      token: whole(`token${end}`),
      object: /^\d{1,18}$/.test(link.get(`object${end}`) ?? "")
        ? BigInt(link.get(`object${end}`))
        : null,
      own: link.get(`row${end}`) !== "mean",
      hide: link.get(`hide${end}`) === "1",
    })),
  };
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
