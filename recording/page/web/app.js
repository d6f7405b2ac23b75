// The page: one or two recordings, one clock, and the state in the address.

import { Clock } from "./clock.js";
import { display } from "./display.js";
import { createElement } from "./dom.js";
import { nextMoment } from "./key_moments.js";
import { Help, keyBindings, listenToKeys } from "./keyboard.js";
import { isRolloutMap, ownMap } from "./map_kinds.js";
import { PageHeader, aboutSection, warningList } from "./page_header.js";
import { PageLink } from "./page_link.js";
import { PlaybackControls } from "./playback_controls.js";
import { RecordingPane } from "./recording_pane.js";
import { alignMaps } from "./shown_map.js";
import { snapshot } from "./snapshot.js";

const STEPS_AHEAD = 6; // steps whose pictures are made ready while time runs

export class App {
  constructor(data, episodes, pictures, colors) {
    this.data = data;
    this.episodes = episodes;
    this.pictures = pictures;
    this.colors = colors;
    this.settings = { opacity: display.max_heat_opacity, scale: 0, truth: true };
    this.clock = new Clock(this);
    this.panes = [];
    this.drawCount = 0;
    this.settled = Promise.resolve();
    this.link = new PageLink(this);
    const keys = keyBindings(this);
    this.header = new PageHeader(this);
    this.controls = new PlaybackControls(this);
    this.help = new Help(keys);
    listenToKeys(keys, this);
    this.build();
  }

  build() {
    this.paneRow = createElement("div", { class: "sides" });
    document
      .getElementById("app")
      .replaceChildren(
        this.header.element,
        warningList(this.data, this.episodes),
        this.paneRow,
        aboutSection(this.data),
        this.controls.element,
        this.help.element,
      );
    new ResizeObserver(() => this.resized()).observe(this.paneRow);
    const light = window.matchMedia("(prefers-color-scheme: dark)");
    light.addEventListener("change", () => this.remeasure());
    window.addEventListener("resize", () => this.remeasure());
    window.addEventListener("hashchange", () => this.link.follow());
  }

  /** Say whether there are several recordings. */
  hasSeveral() {
    return this.data.recordings.length > 1;
  }

  /** Return in how many environments they were made. */
  environmentCount() {
    return new Set(this.data.recordings.map((recording) => recording.env_id)).size;
  }

  /** Return how many moments the longest pane has. */
  length() {
    return Math.max(1, ...this.panes.map((pane) => pane.episode.length));
  }

  /** Return how many steps go by in a second. */
  rate() {
    return this.panes[0].episode.facts.rate;
  }

  /** Return the pane that has the focus, else the first. */
  active() {
    return (
      this.panes.find((pane) => pane.element.contains(document.activeElement)) ?? this.panes[0]
    );
  }

  /** Show an episode at the left (0) or at the right (1); null closes the right. */
  open(place, index, shown, mapChosen) {
    const before = this.panes[place] ?? this.panes[0],
      wanted = shown ? { shown, mapChosen } : before;
    const pane =
      index === null
        ? null
        : new RecordingPane(this, this.episodes[index], wanted.shown, wanted.mapChosen);
    this.panes = [
      ...this.panes.slice(0, place),
      ...(pane ? [pane] : []),
      ...(place ? [] : this.panes.slice(1)),
    ];
    this.arrange();
    return pane;
  }

  arrange() {
    this.paneRow.replaceChildren(...this.panes.map((pane) => pane.element));
    this.paneRow.classList.toggle("two", this.panes.length > 1);
    alignMaps(this.panes);
    for (const pane of this.panes) pane.measure();
    this.clock.seek(this.clock.t);
  }

  set(settings) {
    Object.assign(this.settings, settings);
    this.changed();
  }

  jump(kind, direction) {
    const t = nextMoment(this.panes, kind, this.clock.t, direction);
    if (t !== null) this.clock.step(t - this.clock.t);
  }

  /** Return the next layer or head of a pane. */
  neighbor(pane, name, direction) {
    const { select } = name === "map" ? pane.views.layer : pane.views.head;
    if (name === "head" && isRolloutMap(pane.episode, pane.shown.map)) {
      const map = ownMap(pane.episode, pane.shown.role);
      return direction > 0 ? 0 : pane.episode.recording.maps[map].stored_heads - 1;
    }
    const values = [...select.options].map((option) => option.value);
    const value =
      values[(values.indexOf(select.value) + direction + values.length) % values.length];
    return /^\d+$/.test(value) ? Number(value) : value;
  }

  nextToken(direction) {
    const pane = this.active(),
      { episode } = pane,
      chosen = pane.chosen(),
      t = Math.min(pane.t, episode.steps - 1);
    for (let n = 1; n <= episode.tokens; n++) {
      const start = chosen < 0 ? (direction > 0 ? -1 : 0) : chosen;
      const i = (start + direction * n + 2 * episode.tokens) % episode.tokens;
      if (episode.present(t, i)) return pane.select(i);
    }
  }

  /** Fit everything into the width, where it changed. */
  resized() {
    if (this.width !== this.paneRow.clientWidth) this.remeasure();
  }

  remeasure() {
    this.width = this.paneRow.clientWidth;
    for (const pane of this.panes) pane.measure();
    this.changed();
  }

  /** Draw what has changed, once its pictures are ready. */
  changed() {
    const count = ++this.drawCount,
      t = this.clock.t;
    this.settled = Promise.all(
      this.panes.flatMap((pane) => pane.pictures(t)).map((n) => this.pictures.ready(n)),
    ).then(() => {
      if (count !== this.drawCount) return;
      this.draw(t);
      if (this.clock.playing) this.prepare(t);
    });
    return this.settled;
  }

  draw(t) {
    for (const pane of this.panes) pane.draw(t);
    this.controls.draw();
    this.header.draw();
    this.link.remember();
  }

  /** Make the pictures of the next steps ready. */
  prepare(t) {
    for (let ahead = 1; ahead <= STEPS_AHEAD; ahead++) {
      for (const pane of this.panes)
        for (const n of pane.pictures(t + ahead)) this.pictures.ready(n);
    }
  }

  /** Hand the current picture to the browser as a file. */
  async save() {
    await this.settled;
    const blob = await new Promise((done) => snapshot(this).toBlob(done, "image/png"));
    const fileName = (text) => text.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 60);
    const link = createElement("a", {
      href: URL.createObjectURL(blob),
      download: `${fileName(this.panes[0].episode.recording.env_id)}_step_${this.clock.t}.png`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}
