// The bar at the foot of the page: play, step, scrub, speed, jumps; and the settings of the heat.

import { SPEEDS } from "./clock.js";
import { createButton, createChoice, createElement, icon, setOptions, setText } from "./dom.js";
import { hasTruth, toggleTruth } from "./ground_truth.js";
import { KEY_MOMENTS, nextMoment } from "./key_moments.js";

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  back: "M11 3v10L4 8z",
  on: "M5 3v10l7-5z",
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  end: "M11 3h2v10h-2zM3 3v10l7-5z",
};

/** Transport and jumps. */
export class PlaybackControls {
  constructor(app) {
    this.app = app;
    const { clock } = app;
    const control = (label, hint, path, act) => createButton(label, hint, icon(ICONS[path]), act);
    this.play = control("play", "play or pause (Space)", "play", () => clock.toggle());
    this.play.classList.add("play");
    const transport = createElement(
      "div",
      { class: "group" },
      control("first step", "first step (Home)", "first", () => clock.step(-Infinity)),
      control("one step back", "one step back (Left)", "back", () => clock.step(-1)),
      this.play,
      control("one step on", "one step on (Right)", "on", () => clock.step(1)),
      control("last step", "last step (End)", "end", () => clock.step(Infinity)),
    );
    this.scrub = createElement("input", {
      type: "range",
      min: "0",
      step: "1",
      "aria-label": "step",
    });
    this.scrub.addEventListener("input", () => clock.step(Number(this.scrub.value) - clock.t));
    this.position = createElement("output", { class: "where" });
    this.speed = createChoice("Speed", "slower [ and faster ]", (value) => {
      clock.speed = Number(value);
      app.changed();
    });
    const jumps = createElement(
      "div",
      { class: "jumps" },
      ...Object.keys(KEY_MOMENTS).map((kind) => this.momentButtons(kind)),
    );
    const row = createElement(
      "div",
      { class: "row-of-controls" },
      transport,
      this.position,
      this.speed.element,
      jumps,
    );
    this.element = createElement(
      "footer",
      { class: "controls", role: "group", "aria-label": "playing" },
      this.scrub,
      row,
    );
  }

  momentButtons(kind) {
    const { label, key, hint } = KEY_MOMENTS[kind],
      { app } = this;
    const control = (direction, word, keys, path) => {
      const act = () => app.jump(kind, direction);
      const element = createButton(
        `${word} ${label}`,
        `${word} ${label} (${keys}): ${hint}`,
        icon(ICONS[path]),
        act,
      );
      element.dataset.jump = `${kind} ${direction}`;
      return element;
    };
    const back = control(-1, "previous", `Shift+${key.toUpperCase()}`, "back"),
      on = control(1, "next", key, "on");
    return createElement(
      "span",
      { class: "group jump" },
      back,
      createElement("span", {}, label),
      on,
    );
  }

  draw() {
    const { clock } = this.app;
    this.scrub.max = String(clock.last);
    this.scrub.value = String(clock.t);
    this.scrub.setAttribute("aria-valuetext", `step ${clock.t} of ${clock.last}`);
    setText(this.position, `${clock.t} / ${clock.last}`);
    const word = clock.playing ? "pause" : "play";
    if (this.play.getAttribute("aria-label") !== word) {
      this.play.setAttribute("aria-label", word);
      this.play.replaceChildren(icon(ICONS[word]));
    }
    const rate = (speed) =>
      `${speed} x, ${Number((this.app.rate() * speed).toPrecision(2))} per second`;
    setOptions(
      this.speed.select,
      SPEEDS.map((speed) => [String(speed), rate(speed)]),
      String(clock.speed),
    );
    for (const element of this.element.querySelectorAll("[data-jump]")) {
      const [kind, direction] = element.dataset.jump.split(" ");
      element.disabled = nextMoment(this.app.panes, kind, clock.t, Number(direction)) === null;
    }
  }
}

/** How the heat is shown: its opacity, where its scale ends, and whether dashes stand on it. */
export class HeatControls {
  constructor(app) {
    this.app = app;
    this.opacity = createElement("input", {
      type: "range",
      min: "0",
      max: "100",
      step: "1",
      title: "of the overlay (o, Shift+O)",
    });
    this.opacity.addEventListener("input", () =>
      app.set({ opacity: Number(this.opacity.value) / 100 }),
    );
    this.scale = createChoice(
      "Scale",
      "where the scale of colors ends, in multiples of an even spread",
      (value) => app.set({ scale: Number(value) }),
    );
    const dashed = "dashed: what the environment says matters (w)";
    this.truth = createButton("mark what matters", dashed, "What matters", () => toggleTruth(app));
    const label = createElement(
      "label",
      { class: "choice" },
      createElement("span", {}, "Opacity"),
      this.opacity,
    );
    const controls = [label, this.scale.element, this.truth];
    this.element = createElement("div", { class: "heat-controls" }, ...controls);
  }

  draw() {
    const { opacity, scale, truth } = this.app.settings;
    this.truth.hidden = !this.app.panes.some((pane) => hasTruth(pane.episode));
    this.truth.setAttribute("aria-pressed", String(truth));
    this.opacity.value = String(Math.round(100 * opacity));
    const ends = [3, 5, 10, 20, 50, 100];
    if (scale && !ends.includes(scale)) ends.push(scale);
    setOptions(
      this.scale.select,
      [["0", "to the largest"], ...ends.map((end) => [String(end), `to ${end} x even`])],
      String(scale),
    );
  }
}
