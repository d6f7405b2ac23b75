// The page: one or two recordings, one clock, and the state in the address.

const AHEAD = 6; // steps whose pictures are made ready while time runs

class App {
  constructor(data, episodes, pictures, colours) {
    Object.assign(this, { data, episodes, pictures, colours });
    this.settings = { opacity: MOST_OPAQUE, scale: 0, truth: true };
    this.clock = new Clock(this);
    this.sides = [];
    this.turn = 0;
    this.settled = Promise.resolve();
    this.link = new Link(this);
    const keys = keysOf(this);
    this.head = new Head(this);
    this.controls = new Controls(this);
    this.help = new Help(keys);
    listen(keys, this);
    this.build();
  }

  build() {
    this.pair = make("div", { class: "sides" });
    document
      .getElementById("app")
      .replaceChildren(
        this.head.element,
        warnings(this.data, this.episodes),
        this.pair,
        about(this.data),
        this.controls.element,
        this.help.element,
      );
    new ResizeObserver(() => this.resized()).observe(this.pair);
    const light = window.matchMedia("(prefers-color-scheme: dark)");
    light.addEventListener("change", () => this.remeasure());
    window.addEventListener("resize", () => this.remeasure());
    window.addEventListener("hashchange", () => this.link.follow());
  }

  /** Say whether there are several recordings. */
  many() {
    return this.data.recordings.length > 1;
  }

  /** Return in how many environments they were made. */
  worlds() {
    return new Set(this.data.recordings.map((recording) => recording.env_id)).size;
  }

  /** Return how many moments the longest side has. */
  length() {
    return Math.max(1, ...this.sides.map((side) => side.episode.length));
  }

  /** Return how many steps go by in a second. */
  rate() {
    return this.sides[0].episode.facts.rate;
  }

  /** Return the side that has the focus, else the first. */
  active() {
    return (
      this.sides.find((side) => side.element.contains(document.activeElement)) ?? this.sides[0]
    );
  }

  /** Show an episode at the left (0) or at the right (1); null closes the right. */
  open(place, index, shown, asked) {
    const before = this.sides[place] ?? this.sides[0],
      wanted = shown ? { shown, asked } : before;
    const side =
      index === null ? null : new Side(this, this.episodes[index], wanted.shown, wanted.asked);
    this.sides = [
      ...this.sides.slice(0, place),
      ...(side ? [side] : []),
      ...(place ? [] : this.sides.slice(1)),
    ];
    this.arrange();
    return side;
  }

  arrange() {
    this.pair.replaceChildren(...this.sides.map((side) => side.element));
    this.pair.classList.toggle("two", this.sides.length > 1);
    agree(this.sides);
    for (const side of this.sides) side.measure();
    this.clock.seek(this.clock.t);
  }

  set(settings) {
    Object.assign(this.settings, settings);
    this.changed();
  }

  jump(kind, way) {
    const t = jump(this.sides, kind, this.clock.t, way);
    if (t !== null) this.clock.step(t - this.clock.t);
  }

  /** Return the next layer or head of a side. */
  neighbour(side, name, way) {
    const { select } = name === "map" ? side.views.layer : side.views.head;
    if (name === "head" && isRollout(side.episode, side.shown.map)) {
      const own = ownMapOf(side.episode, side.shown.role);
      return way > 0 ? 0 : side.episode.recording.maps[own].stored_heads - 1;
    }
    const values = [...select.options].map((option) => option.value);
    const value = values[(values.indexOf(select.value) + way + values.length) % values.length];
    return /^\d+$/.test(value) ? Number(value) : value;
  }

  nextToken(way) {
    const side = this.active(),
      { episode } = side,
      chosen = side.chosen(),
      t = Math.min(side.t, episode.steps - 1);
    for (let n = 1; n <= episode.tokens; n++) {
      const start = chosen < 0 ? (way > 0 ? -1 : 0) : chosen;
      const i = (start + way * n + 2 * episode.tokens) % episode.tokens;
      if (episode.present(t, i)) return side.select(i);
    }
  }

  /** Fit everything into the width, where it changed. */
  resized() {
    if (this.width !== this.pair.clientWidth) this.remeasure();
  }

  remeasure() {
    this.width = this.pair.clientWidth;
    for (const side of this.sides) side.measure();
    this.changed();
  }

  /** Draw what has changed, once its pictures are ready. */
  changed() {
    const turn = ++this.turn,
      t = this.clock.t;
    this.settled = Promise.all(
      this.sides.flatMap((side) => side.pictures(t)).map((n) => this.pictures.ready(n)),
    ).then(() => {
      if (turn !== this.turn) return;
      this.draw(t);
      if (this.clock.playing) this.prepare(t);
    });
    return this.settled;
  }

  draw(t) {
    for (const side of this.sides) side.draw(t);
    this.controls.draw();
    this.head.draw();
    this.link.remember();
  }

  /** Make the pictures of the next steps ready. */
  prepare(t) {
    for (let ahead = 1; ahead <= AHEAD; ahead++) {
      for (const side of this.sides)
        for (const n of side.pictures(t + ahead)) this.pictures.ready(n);
    }
  }

  /** Hand the current picture to the browser as a file. */
  async save() {
    await this.settled;
    const blob = await new Promise((done) => snapshot(this).toBlob(done, "image/png"));
    const plain = (text) => text.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 60);
    const link = make("a", {
      href: URL.createObjectURL(blob),
      download: `${plain(this.sides[0].episode.recording.env_id)}_step_${this.clock.t}.png`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}
