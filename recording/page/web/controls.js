// The bar at the foot of the page: play, step, scrub, speed, jumps; and the settings of the heat.

const SIGNS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  back: "M11 3v10L4 8z",
  on: "M5 3v10l7-5z",
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  end: "M11 3h2v10h-2zM3 3v10l7-5z",
};

/** Transport and jumps. */
class Controls {
  constructor(app) {
    this.app = app;
    const { clock } = app;
    const made = (label, hint, path, act) => button(label, hint, sign(SIGNS[path]), act);
    this.play = made("play", "play or pause (Space)", "play", () => clock.toggle());
    this.play.classList.add("play");
    const transport = make(
      "div",
      { class: "group" },
      made("first step", "first step (Home)", "first", () => clock.step(-Infinity)),
      made("one step back", "one step back (Left)", "back", () => clock.step(-1)),
      this.play,
      made("one step on", "one step on (Right)", "on", () => clock.step(1)),
      made("last step", "last step (End)", "end", () => clock.step(Infinity)),
    );
    this.scrub = make("input", { type: "range", min: "0", step: "1", "aria-label": "step" });
    this.scrub.addEventListener("input", () => clock.step(Number(this.scrub.value) - clock.t));
    this.where = make("output", { class: "where" });
    this.speed = choice("Speed", "slower [ and faster ]", (value) => {
      clock.speed = Number(value);
      app.changed();
    });
    const jumps = make(
      "div",
      { class: "jumps" },
      ...Object.keys(JUMPS).map((kind) => this.jumper(kind)),
    );
    const row = make(
      "div",
      { class: "row-of-controls" },
      transport,
      this.where,
      this.speed.element,
      jumps,
    );
    this.element = make(
      "footer",
      { class: "controls", role: "group", "aria-label": "playing" },
      this.scrub,
      row,
    );
  }

  jumper(kind) {
    const { label, key, hint } = JUMPS[kind],
      { app } = this;
    const made = (way, words, keys, path) => {
      const act = () => app.jump(kind, way);
      const one = button(
        `${words} ${label}`,
        `${words} ${label} (${keys}): ${hint}`,
        sign(SIGNS[path]),
        act,
      );
      one.dataset.jump = `${kind} ${way}`;
      return one;
    };
    const back = made(-1, "previous", `Shift+${key.toUpperCase()}`, "back"),
      on = made(1, "next", key, "on");
    return make("span", { class: "group jump" }, back, make("span", {}, label), on);
  }

  draw() {
    const { clock } = this.app;
    this.scrub.max = String(clock.last);
    this.scrub.value = String(clock.t);
    this.scrub.setAttribute("aria-valuetext", `step ${clock.t} of ${clock.last}`);
    say(this.where, `${clock.t} / ${clock.last}`);
    const word = clock.playing ? "pause" : "play";
    if (this.play.getAttribute("aria-label") !== word) {
      this.play.setAttribute("aria-label", word);
      this.play.replaceChildren(sign(SIGNS[word]));
    }
    const rate = (speed) =>
      `${speed} x, ${Number((this.app.rate() * speed).toPrecision(2))} per second`;
    fill(
      this.speed.select,
      SPEEDS.map((speed) => [String(speed), rate(speed)]),
      String(clock.speed),
    );
    for (const one of this.element.querySelectorAll("[data-jump]")) {
      const [kind, way] = one.dataset.jump.split(" ");
      one.disabled = jump(this.app.sides, kind, clock.t, Number(way)) === null;
    }
  }
}

/** How the heat is shown: its opacity, where its scale ends, and whether dashes stand on it. */
class HeatControls {
  constructor(app) {
    this.app = app;
    this.opacity = make("input", {
      type: "range",
      min: "0",
      max: "100",
      step: "1",
      title: "of the overlay (o, Shift+O)",
    });
    this.opacity.addEventListener("input", () =>
      app.set({ opacity: Number(this.opacity.value) / 100 }),
    );
    this.scale = choice(
      "Scale",
      "where the scale of colours ends, in multiples of an even spread",
      (value) => app.set({ scale: Number(value) }),
    );
    const dashed = "dashed: what the environment says matters (w)";
    this.truth = button("mark what matters", dashed, "What matters", () => toggleTruth(app));
    const label = make("label", { class: "choice" }, make("span", {}, "Opacity"), this.opacity);
    const all = [label, this.scale.element, this.truth];
    this.element = make("div", { class: "heat-controls" }, ...all);
  }

  draw() {
    const { opacity, scale, truth } = this.app.settings;
    this.truth.hidden = !this.app.sides.some((side) => tellsTruth(side.episode));
    this.truth.setAttribute("aria-pressed", String(truth));
    this.opacity.value = String(Math.round(100 * opacity));
    const ends = [3, 5, 10, 20, 50, 100];
    if (scale && !ends.includes(scale)) ends.push(scale);
    fill(
      this.scale.select,
      [["0", "to the largest"], ...ends.map((end) => [String(end), `to ${end} x even`])],
      String(scale),
    );
  }
}
