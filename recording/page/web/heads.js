// The heads of the map that is shown, each as a small picture of its own.

const WIDE = 1.5; // pictures wider than so many times their height stand two in a row
const BARS = 40; // height of the bars of tokens that stand nowhere, in pixels

/** A small picture of each head: where it looks, how far it spreads, and how much it counts. */
class HeadsPanel {
  constructor(side) {
    this.side = side;
    this.heading = new Heading("heads");
    this.list = make("div", { class: "heads" });
    const hint =
      "effective number of tokens, the exponential of the entropy; how much a head counts";
    this.element = make("section", { title: hint }, this.heading.element, this.list);
    this.buttons = [];
  }

  draw(t, shown) {
    const look = this.headed(shown),
      count = look instanceof View ? look.rows.heads : 0;
    this.element.hidden = count < 2;
    if (count < 2) return;
    say(this.heading.title, look === shown ? "heads" : `heads of ${mapName(look.facts)}`);
    this.index = look.index;
    while (this.buttons.length < count) this.add(this.buttons.length);
    const counts = look.headCounts(t);
    const of = look.facts.drawable ? "tokens" : look.facts.keys;
    say(this.heading.note, `effective ${of}${counts ? "; counts" : ""}`);
    const size = this.measure(look);
    this.buttons.forEach((own, h) => {
      own.element.hidden = h >= count;
      if (h >= count) return;
      const view = this.view(look, h);
      const spread = Math.exp(entropy(look.facts.drawable ? view.weights(t) : view.row(t)));
      const words = counts ? `${spread.toFixed(1)}, ${counts[h].toFixed(2)}` : spread.toFixed(1);
      say(own.words, words);
      own.element.setAttribute("aria-pressed", String(look === shown && look.head === h));
      this.thumb(own.canvas, t, view, size);
    });
  }

  add(h) {
    const words = make("span", { class: "weight" }),
      canvas = make("canvas", { "aria-hidden": "true" });
    const label = make("span", {}, `head ${h}`);
    const element = make("button", { type: "button" }, canvas, label, words);
    element.addEventListener("click", () => this.side.press(this.index, h));
    this.buttons.push({ element, words, canvas });
    this.list.append(element);
  }

  /** Return what has the heads: what is shown, or of a rollout the map that it starts from. */
  headed(shown) {
    const { episode } = this.side,
      { role } = this.side.shown;
    const rolled = shown instanceof Rollout || rolledOut(shown.facts);
    if (!rolled) return shown;
    return this.side.look({ ...this.side.shown, map: ownMapOf(episode, role), head: "mean" }, null);
  }

  /** Return the size of a picture; wide ones stand two in a row, others four. */
  measure(look) {
    const size = this.pictured(look) ? this.side.episode.plan.size : null;
    const across = size === null || size[1] > WIDE * size[0] ? 2 : 4;
    this.list.style.setProperty("--across", String(across));
    const width = Math.max(24, (this.list.clientWidth || 300) / across - 14);
    return [Math.round(width), size === null ? BARS : Math.round((width * size[0]) / size[1])];
  }

  pictured(look) {
    return look.facts.drawable && this.side.episode.plan.stage.length > 0;
  }

  thumb(canvas, t, view, size) {
    const context = pen(canvas, ...size);
    canvas.style.height = `${size[1]}px`;
    if (this.pictured(view))
      drawStage(context, this.side.app, this.side, t, view, size, canvas, false);
    else this.bars(context, view.facts.drawable ? view.weights(t) : view.row(t), size);
  }

  /** Draw a bar for each key, in their order. */
  bars(context, weights, [width, height]) {
    const top = largest(weights) || 1e-9,
      slot = width / weights.length;
    context.fillStyle = ink("track");
    context.fillRect(0, 0, width, height);
    weights.forEach((weight, i) => {
      const tall = (height - 2) * (weight / top);
      context.fillStyle = this.side.app.colours.bar(weight / top);
      context.fillRect(i * slot, height - tall, Math.max(1, slot - (slot > 4 ? 1 : 0)), tall);
    });
  }

  /** Return the view of one head of the map that is shown. */
  view(look, h) {
    return this.side.look({ ...this.side.shown, map: look.index, head: h }, look.query);
  }
}
