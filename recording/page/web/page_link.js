// The state of the page in its address, such as #t=120&layer=1&head=3, and back.

import { display } from "./display.js";
import { CAUSAL, EVIDENCE, ROLLOUT, isRecordedRollout, ownMap } from "./map_kinds.js";
import { clamp } from "./numbers.js";
import { availableMap, firstShown } from "./shown_map.js";

const LINK_EVERY = 250; // milliseconds; browsers refuse more than a few changes per second

/** Keeps the page and its address the same. */
export class PageLink {
  constructor(app) {
    this.app = app;
    this.pending = null;
  }

  /** Write the state into the address, at most a few times per second. */
  remember() {
    if (this.pending) return;
    this.pending = setTimeout(() => {
      this.pending = null;
      const link = `#${encodeLink(this.app)}`;
      if (link !== location.hash) history.replaceState(null, "", link);
    }, LINK_EVERY);
  }

  /** Take the state from the address; an empty one shows two recordings, where there are. */
  follow() {
    const { app } = this,
      wanted = parseLink(location.hash || (app.hasSeveral() ? "#recording2=1" : ""));
    app.settings.opacity = wanted.opacity ?? display.max_heat_opacity;
    app.settings.scale = wanted.scale ?? 0;
    app.settings.truth = wanted.truth;
    app.panes = app.panes.slice(0, wanted.panes.length);
    wanted.panes.forEach((link, place) => this.open(link, place, wanted.t ?? 0));
    app.clock.seek(wanted.t ?? 0);
  }

  /** Show at a place what a link asks for. */
  open(link, place, t) {
    const { app } = this;
    const position = app.episodes.findIndex(
      (e) => e.recordingIndex === link.recording && e.index === link.episode,
    );
    const index = Math.max(0, position),
      mapChosen = link.role !== null || link.layer !== null || link.head !== "mean",
      pane = app.open(place, index, shownByLink(app.episodes[index], link), mapChosen);
    if (link.layer === null) pane.rememberBefore(firstShown(pane.episode));
    if (link.token === null || link.token >= pane.episode.tokens) return;
    const step = clamp(t, 0, pane.episode.steps - 1);
    pane.selected = { token: link.token, object: link.object, t: step };
    pane.curves.redraw();
  }
}

/** Return the state of the page as it stands after the # of its address. */
function encodeLink(app) {
  const link = new URLSearchParams({ t: String(app.clock.t) });
  app.panes.forEach((pane, n) => {
    for (const [name, value] of paneLink(app, pane))
      link.set(name + (n ? String(n + 1) : ""), value);
  });
  if (app.settings.opacity !== display.max_heat_opacity)
    link.set("opacity", app.settings.opacity.toFixed(2));
  if (app.settings.scale) link.set("scale", String(app.settings.scale));
  if (!app.settings.truth) link.set("truth", "0");
  return link.toString();
}

function paneLink(app, pane) {
  const { shown, episode, selected } = pane,
    facts = episode.recording.maps[shown.map];
  const pairs = [
    ["recording", app.hasSeveral() ? episode.recordingIndex : null],
    ["episode", episode.index],
    ["role", shown.role === firstShown(episode).role ? null : shown.role],
    ["layer", facts ? (isRecordedRollout(facts) ? ROLLOUT : facts.layer) : shown.map],
    ["component", shown.map === EVIDENCE ? shown.component : null],
    ["part", facts && facts.part ? facts.part : null],
    ["head", shown.head],
    ["query", shown.query],
    ["weights", shown.soft ? "soft" : null],
    ["token", selected === null ? null : selected.token],
    ["object", selected === null || selected.object === null ? null : selected.object],
    ["row", selected !== null && !shown.tokenRow ? "mean" : null],
    ["hide", selected !== null && shown.hide ? 1 : null],
  ];
  return pairs.filter(([, value]) => value !== null).map(([name, value]) => [name, String(value)]);
}

/** Read an address; what is not understood takes its default. */
function parseLink(hash) {
  const link = new URLSearchParams(hash.replace(/^#/, ""));
  const ends = link.has("episode2") || link.has("recording2") ? ["", "2"] : [""];
  const opacity = link.has("opacity") ? Number(link.get("opacity")) : NaN;
  return {
    t: parseCount(link, "t"),
    opacity: Number.isFinite(opacity) ? clamp(opacity, 0, 1) : null,
    scale: parseCount(link, "scale"),
    truth: link.get("truth") !== "0",
    panes: shareLayer(ends.map((end) => parsePane(link, end))),
  };
}

/** Return a number of a link; null where it is none. */
function parseCount(link, name) {
  const text = link.get(name) ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** Return what a link asks for in a pane; its names end in "" or "2". */
function parsePane(link, end) {
  const text = (name) => link.get(name + end),
    count = (name) => parseCount(link, name + end);
  const object = text("object") ?? "";
  return {
    recording: count("recording") ?? 0,
    episode: count("episode") ?? 0,
    role: text("role"),
    layer: [ROLLOUT, CAUSAL, EVIDENCE].find((map) => map === text("layer")) ?? count("layer"),
    component: count("component"),
    part: text("part"),
    head: text("head") === "max" ? "max" : (count("head") ?? "mean"),
    query: count("query"),
    soft: text("weights") === "soft",
    token: count("token"),
    object: /^\d{1,18}$/.test(object) ? BigInt(object) : null,
    tokenRow: text("row") !== "mean",
    hide: text("hide") === "1",
  };
}

/** Give a pane for which a link names no layer the layer of the other pane. */
function shareLayer(panes) {
  const named = panes.find((pane) => pane.layer !== null);
  return panes.map((pane) => {
    if (!named || pane.layer !== null || pane.role !== named.role) return pane;
    return { ...pane, layer: named.layer, part: pane.part ?? named.part };
  });
}

/** Return what a link asks to show of an episode. */
function shownByLink(episode, wanted) {
  const base = firstShown(episode),
    { maps } = episode.recording;
  const role = wanted.role ?? base.role;
  let map = wanted.layer; // a number of a layer, until its map is found
  if (typeof wanted.layer === "number") {
    const fits = (facts) =>
      facts.role === role &&
      facts.layer === wanted.layer &&
      !isRecordedRollout(facts) &&
      (wanted.part === null || facts.part === wanted.part);
    const drawable = maps.findIndex((facts) => fits(facts) && facts.drawable);
    map = drawable >= 0 ? drawable : maps.findIndex(fits);
  }
  const oneHead = wanted.head !== "mean" && (map === null || map === ROLLOUT);
  if (oneHead && maps.some((facts) => facts.role === role)) map = ownMap(episode, role);
  return availableMap(episode, {
    ...base,
    role,
    map,
    component: wanted.component,
    head: wanted.head,
    query: wanted.query,
    tokenRow: wanted.tokenRow,
    soft: wanted.soft,
    hide: wanted.hide,
  });
}
