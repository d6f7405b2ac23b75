// The observation's own grid, beside the frame.

/** The observed picture of a part that has no place on the frame, with the heat on it. */
class PartGrid {
  constructor(side, p) {
    Object.assign(this, { side, p, part: side.episode.parts[p] });
    this.heading = new Heading(this.part.title);
    this.canvas = make("canvas", {
      class: "grid",
      role: "img",
      "aria-label": `observed: ${this.part.title}`,
    });
    this.element = make("section", { class: "tokens" }, this.heading.element, this.canvas);
  }

  draw(t, look) {
    const { episode, app } = this.side,
      [rows, cols] = this.part.picture;
    const width = Math.max(1, this.element.clientWidth),
      factor = Math.min(width / cols, 260 / rows);
    const size = [Math.round(cols * factor), Math.round(rows * factor)];
    const context = pen(this.canvas, ...size);
    this.canvas.style.width = `${size[0]}px`;
    this.canvas.style.height = `${size[1]}px`;
    const picture = app.pictures.get(episode.observed(this.p, t));
    context.imageSmoothingEnabled = false;
    if (picture) context.drawImage(picture, 0, 0, ...size);
    const ratio = this.canvas.width / cols,
      weights = look.weights(t);
    const boxes = Array.from(weights, (_, i) => scaled(episode.ownBox(this.p, t, i), ratio, 0));
    const lift = heatOf(weights, boxes, look.even(t), this.canvas.width, this.canvas.height);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    const top = app.settings.scale || Math.max(largest(lift), LOWEST_TOP);
    app.colours.paint(
      context,
      lift,
      this.canvas.width,
      this.canvas.height,
      top,
      app.settings.opacity,
    );
    context.restore();
    drawTruth(context, this.side, t, (i) => scaled(episode.ownBox(this.p, t, i), factor, 0));
    const own = sum(weights.subarray(this.part.start, this.part.start + this.part.names.length));
    say(this.heading.note, `${look.noun}, sum ${own.toFixed(2)}, to ${top.toFixed(1)} x even`);
  }
}

/** Return a box in other pixels, moved to the right; null stays null. */
function scaled(box, factor, left) {
  return box && box.map((at, i) => at * factor + (i % 2 ? 0 : left));
}
