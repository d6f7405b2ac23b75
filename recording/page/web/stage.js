// The picture of one step, with the attention drawn where its tokens stand.

const TALLEST = 0.5; // of the window's height
const HIGHEST = 560;
const LEAST_WIDTH = 420; // of the column: its legend and strips need it

/** The frame, or the observed picture where there is none. */
class Stage {
  constructor(app, side) {
    Object.assign(this, { app, side });
    this.canvas = make("canvas", { class: "picture", role: "img" });
    this.ramp = make("canvas", { class: "ramp", "aria-hidden": "true" });
    this.top = make("span", { class: "top" });
    this.low = make("span", {}, "0");
    this.scale = make("span", { class: "scale" }, this.low, this.ramp, this.top);
    this.words = make("span", { class: "words" });
    this.truth = new TruthLine(side);
    const parts = [this.scale, this.words, this.truth.element];
    const legend = make("p", { class: "legend" }, ...parts);
    this.tip = make("span", { class: "tip", hidden: true });
    this.element = make("div", { class: "stage" }, this.canvas, this.tip, legend);
    this.canvas.addEventListener("click", (event) => this.clicked(event));
    this.canvas.addEventListener("pointermove", (event) => this.pointed(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.drawn = null;
  }

  /** Fit the picture into so many pixels; return how wide it is. */
  measure(room) {
    const size = this.side.episode.plan.size;
    this.canvas.hidden = size === null;
    if (size === null) return LEAST_WIDTH;
    const factor = Math.min(
      room / size[1],
      Math.min(HIGHEST, TALLEST * window.innerHeight) / size[0],
    );
    this.size = [
      Math.max(1, Math.round(size[1] * factor)),
      Math.max(1, Math.round(size[0] * factor)),
    ];
    this.canvas.style.width = `${this.size[0]}px`;
    this.canvas.style.height = `${this.size[1]}px`;
    this.app.colours.ramp(this.ramp);
    return Math.max(this.size[0], Math.min(room, LEAST_WIDTH));
  }

  /** Draw a step; `look` is null where there is no attention to show. */
  draw(t, look) {
    const { episode } = this.side;
    this.truth.draw(t);
    if (episode.plan.size === null) {
      say(this.words, "neither a frame nor a picture was recorded");
      this.scale.hidden = true;
      return;
    }
    const context = pen(this.canvas, ...this.size);
    this.drawn = drawStage(context, this.app, this.side, t, look, this.size, this.canvas);
    this.legend(t, look);
    this.canvas.setAttribute("aria-label", this.spoken(t, look));
  }

  legend(t, look) {
    const { drawn } = this,
      { plan } = this.side.episode;
    this.scale.hidden = !drawn || drawn.lift === null;
    if (!look) {
      const why = this.side.at(t) instanceof Causal ? "this step was not scored" : "";
      return say(this.words, t < this.side.episode.steps ? why : "what the last action led to");
    }
    if (!plan.stage.length) return say(this.words, "the tokens have no place on this picture");
    if (!look.facts.drawable)
      return say(this.words, `this map weighs ${look.facts.keys}, which stand nowhere`);
    if (drawn.lift) say(this.top, drawn.scale);
    const share = `${Math.round(100 * drawn.share)}% of the ${look.noun} is on the picture`;
    const bold = `most: ${look.noun} ${look.said(largest(look.weights(t)))}${look.unit}; `;
    say(this.words, (drawn.lift && !look.unit ? "" : bold) + share);
  }

  /** Say in words what the picture shows, for those who do not see it. */
  spoken(t, look) {
    const { episode } = this.side,
      picture = [`Picture of step ${t}`, truthWords(this.side, t)].filter(Boolean).join(", ");
    if (!look) return picture;
    const best = ranked(look.weights(t))
      .slice(0, 3)
      .filter(([, weight]) => weight > 0);
    const said = best.map(([i, weight]) => `${episode.name(t, i)} ${weight.toFixed(2)}`).join(", ");
    return `${picture}. Most attended: ${said || "nothing"}`;
  }

  /** Choose the token under the pointer. */
  clicked(event) {
    if (this.side.t < this.side.episode.steps) this.side.select(this.under(event));
  }

  /** Say which token is under the pointer, and what it weighs. */
  pointed(event) {
    const { side, tip } = this,
      { episode, t } = side;
    const token = t < episode.steps ? this.under(event) : null;
    tip.hidden = token === null;
    if (token === null) return;
    const look = side.at(t),
      weight = look.facts.drawable ? look.said(look.weights(t)[token], 3) : "";
    say(tip, [episode.name(t, token), episode.held(t, token), weight].filter(Boolean).join("  "));
    const left = Math.min(event.offsetX + 12, this.size[0] - tip.offsetWidth);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.max(0, event.offsetY - 30)}px`;
  }

  /** Return the token under the pointer: of those that see it, the one with the nearest middle. */
  under(event) {
    const { episode, t } = this.side,
      bounds = this.canvas.getBoundingClientRect(),
      [height, width] = episode.plan.size;
    const x = ((event.clientX - bounds.left) / bounds.width) * width;
    const y = ((event.clientY - bounds.top) / bounds.height) * height;
    let best = null,
      nearest = Infinity;
    for (let i = 0; i < episode.tokens; i++) {
      const box = episode.box(t, i);
      if (!box || x < box[0] || x >= box[2] || y < box[1] || y >= box[3]) continue;
      const away = ((box[0] + box[2]) / 2 - x) ** 2 + ((box[1] + box[3]) / 2 - y) ** 2;
      if (away < nearest) [best, nearest] = [i, away];
    }
    return best;
  }
}
