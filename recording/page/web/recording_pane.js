// One recording on the page: its picture, its curves, its numbers. Two of them share one clock.

import { ActionPanel } from "./action_panel.js";
import { AttendedFrame } from "./attended_frame.js";
import { CurvesPanel } from "./curves_panel.js";
import { formatNumber } from "./display.js";
import { createElement, setText } from "./dom.js";
import { pointingText } from "./ground_truth.js";
import { HeadsPanel } from "./heads_panel.js";
import { HistoryStrip } from "./history_strip.js";
import { keyMoments } from "./key_moments.js";
import { EVIDENCE, ROLLOUT, isRolloutMap, ownMap } from "./map_kinds.js";
import { otherMapText } from "./map_title.js";
import { PartGrid, PastFrames } from "./observation_grid.js";
import { PastTable } from "./past_table.js";
import { availableMap, createView, firstAttention, firstShown } from "./shown_map.js";
import { AttentionText, NumbersPanel } from "./step_panel.js";
import { BestTokens, PartBars } from "./token_bars.js";
import { TokenPanel } from "./token_panel.js";
import { verdictSection } from "./verdict.js";
import { ViewControls } from "./view_controls.js";

const PANEL = 358; // pixels of the panel and the gap to it

/** An episode as it is shown. */
export class RecordingPane {
  /** `mapChosen` is whether the map was chosen, rather than taken by default. */
  constructor(app, episode, shown, mapChosen) {
    this.app = app;
    this.episode = episode;
    this.mapChosen = mapChosen;
    this.shown = availableMap(episode, shown ?? firstShown(episode));
    this.before = null; // the map that was shown before one head was
    this.selected = null; // {token, object, t}: at which step it was chosen
    this.viewCache = new Map();
    this.moments = keyMoments(episode);
    this.t = 0;
    this.build();
  }

  build() {
    const { layout } = this.episode;
    this.title = createElement("p", { class: "subtitle" });
    this.otherMap = createElement("p", { class: "other-map" });
    this.views = new ViewControls(this);
    this.attendedFrame = new AttendedFrame(this.app, this);
    this.memory = [
      ...(layout.strip === null ? [] : [new HistoryStrip(this, layout.strip)]),
      ...layout.past_frames.map((group) => new PastFrames(this, group)),
    ];
    this.curves = new CurvesPanel(this);
    this.action = new ActionPanel(this);
    this.numbers = new NumbersPanel(this);
    this.text = new AttentionText();
    this.attention = [
      new HeadsPanel(this),
      new BestTokens(this),
      ...layout.grids.map((p) => new PartGrid(this, p)),
      ...layout.bars.map((p) => new PartBars(this, p)),
      ...layout.past_tables.map((table) => new PastTable(this, table)),
    ];
    this.token = new TokenPanel(this);
    const box = (kind, ...parts) =>
      createElement("div", { class: kind }, ...parts.map((part) => part.element ?? part));
    const [heads, ...tokens] = this.attention;
    this.element = box(
      "side",
      box(
        "head",
        this.title,
        verdictSection(this.episode.recording.verdict),
        this.views,
        this.otherMap,
      ),
      box("seen", this.attendedFrame, ...this.memory),
      box(
        "panel",
        box("column", this.action, this.numbers, this.text, heads),
        box("column", this.token, ...tokens),
      ),
      this.curves,
    );
  }

  /** Return a view of the episode, made once. `query` is a number or null. */
  view(shown, query) {
    const { role, map, head, soft, component } = shown,
      key = JSON.stringify([role, map, head, query, soft, component]);
    if (!this.viewCache.has(key)) {
      if (this.viewCache.size > 200) this.viewCache.clear();
      this.viewCache.set(key, createView(this.episode, shown, query));
    }
    return this.viewCache.get(key);
  }

  /** Return the view of the whole episode, whichever token is chosen. */
  base() {
    return this.view(this.shown, this.shown.query);
  }

  /** Return the view at a step: the row of the chosen token, where it has one. */
  viewAt(t) {
    const tokenRow = this.hasTokenRows() && this.shown.tokenRow && this.selected !== null;
    const token = tokenRow ? this.episode.find(t, this.selected) : -1;
    return token < 0 ? this.base() : this.view(this.shown, token);
  }

  /** Say whether the map has a row for each token. */
  hasTokenRows() {
    if (typeof this.shown.map !== "number") return this.shown.map === ROLLOUT;
    const facts = this.episode.recording.maps[this.shown.map];
    return (
      facts.queries === "tokens" &&
      !facts.derived &&
      !facts.reduced &&
      facts.Q >= this.episode.tokens &&
      facts.Q > 1
    );
  }

  /** Return the token that is chosen, where it is at this step; -1 if none, or it is not there. */
  chosen() {
    return this.episode.find(Math.min(this.t, this.episode.steps - 1), this.selected);
  }

  /** Return the token that is hidden at a step, and the policy without it; or null. */
  hidden(t) {
    const token = this.shown.hide ? this.episode.find(t, this.selected) : -1;
    const without = token < 0 ? null : this.episode.removal.without(t, token);
    return without && { token, ...without };
  }

  /** Choose a token, or none; a second time lets go of it. */
  select(token) {
    const again = token !== null && token === this.chosen();
    const t = Math.min(this.t, this.episode.steps - 1);
    if (token === null || again) this.selected = null;
    else this.selected = { token, object: this.episode.identity(t, token), t };
    this.changed();
  }

  /** Show what the policy does without the chosen token, or no longer. */
  hide() {
    if (this.selected !== null && this.episode.removal) this.show({ hide: !this.shown.hide });
  }

  /** Show another map, or another head: of a rollout, which has none, one of the role's own map. */
  show(change) {
    const { episode, shown: old } = this,
      wanted = { ...old, ...change };
    const [role, map, head] = ["role", "map", "head"].map((name) => name in change);
    if (role && change.role !== old.role) wanted.map = null;
    else if (head && !map && (isRolloutMap(episode, old.map) || old.map === EVIDENCE))
      wanted.map = ownMap(episode, old.role) ?? old.map;
    if (map && !head && isRolloutMap(episode, change.map)) wanted.head = "mean";
    this.shown = availableMap(episode, wanted);
    this.mapChosen ||= role || map || head;
    this.rememberBefore(old);
    this.changed();
  }

  /** Show evidence, or attention as it is shown first. */
  showKind(kind) {
    const { episode } = this,
      evidence = kind === "evidence";
    if (evidence ? !episode.facts.evidence : firstAttention(episode) === null) return;
    const map = evidence ? EVIDENCE : firstAttention(episode);
    this.show({ role: firstShown(episode).role, map, head: "mean" });
  }

  /** Remember what was shown before one head was. */
  rememberBefore({ map, head }) {
    if (typeof this.shown.head !== "number") this.before = null;
    else if (typeof head !== "number") this.before = { map, head };
    else if (this.shown.map !== map) this.before = null;
  }

  /** Show one head of a map; a second time what was shown before. */
  toggleHead(map, head) {
    const again = this.shown.map === map && this.shown.head === head;
    this.show(again ? (this.before ?? { map, head: "mean" }) : { map, head });
  }

  changed() {
    this.curves.redraw();
    this.app.changed();
  }

  /** Return the pictures that a step needs. */
  pictures(t) {
    const { episode } = this,
      last = Math.min(t, episode.length - 1),
      within = Math.min(last, episode.steps - 1);
    const needed = [
      episode.picture(last),
      ...this.memory.flatMap((strip) => strip.pictures(within)),
    ];
    return [...needed, ...episode.layout.grids.map((p) => episode.observed(p, within))].filter(
      (n) => n >= 0,
    );
  }

  /** Fit everything into the width there is: a narrow picture leaves the panel two columns. */
  measure() {
    const room = this.element.clientWidth;
    const beside = getComputedStyle(this.element).getPropertyValue("--beside").trim() === "1";
    const left = this.attendedFrame.measure(beside ? room - PANEL : room);
    this.element.classList.toggle("narrow", beside && left < 0.72 * (room - PANEL));
    this.element.style.setProperty("--picture", `${left}px`);
    this.curves.redraw();
  }

  draw(t) {
    const { episode } = this;
    this.t = Math.min(t, episode.length - 1);
    const over = this.t >= episode.steps,
      within = Math.min(this.t, episode.steps - 1);
    const view = this.viewAt(within),
      attended = Boolean(episode.arrays.attended[within]);
    setText(this.title, this.subtitle());
    setText(this.otherMap, otherMapText(this.app.panes, this));
    this.otherMap.hidden = !this.otherMap.textContent;
    this.views.draw();
    this.attendedFrame.draw(this.t, over || !view.isKnown(within) ? null : view);
    this.element.classList.toggle("over", over);
    this.action.draw(within);
    this.numbers.draw(this.t);
    this.text.draw(within, view, attended, pointingText(this, within, view));
    for (const panel of [...this.memory, ...this.attention]) panel.draw(within, view);
    this.token.draw(within);
    this.curves.moveCursor(this.t);
  }

  subtitle() {
    const { recording, facts, steps } = this.episode,
      seed = facts.seed === null ? "" : `, seed ${facts.seed}`;
    const end = this.t >= steps ? "after the last step" : `step ${this.t} of 0 to ${steps - 1}`;
    const ended = this.t === steps - 1 ? this.episode.ended(this.t) : "";
    const total = `return ${formatNumber(this.episode.returns[steps - 1])}`;
    const world = this.app.environmentCount() > 1 ? `${recording.env_id}, ` : "";
    const last = ended ? `, ${ended}` : "";
    return `${world}${recording.name}, ${facts.name}${seed}, ${total}: ${end}${last}`;
  }
}
