// Actions over time: a row for each choice, or a curve for each dimension.

const ACTION_ROW = 12;
const MOST_LISTED = 18;

/** All actions over time: how likely each was, and which was taken. */
class ActionRaster extends Curve {
  constructor(side) {
    const { recording } = side.episode,
      count = recording.action_names.length;
    const q = recording.distribution === "q_values";
    super(side, q ? "Q values" : "actions", "raster", () => []);
    this.listed = Array.from({ length: Math.min(count, MOST_LISTED) }, (_, i) => i);
    this.height = ACTION_ROW * this.listed.length;
    this.element.classList.add("raster");
    const names = this.listed.map((i) =>
      make("span", { title: recording.action_names[i] }, recording.action_names[i]),
    );
    const more = count > MOST_LISTED ? `, ${MOST_LISTED} of ${count}` : "";
    this.range[0].parentElement.remove();
    this.title.replaceChildren(...names);
    const shown = q ? "Q values" : "probabilities";
    this.element.title = `${shown}${more}; a mark where an action was taken`;
  }

  redraw() {
    const width = this.chart.clientWidth,
      { episode, app } = this.side;
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    const context = pen(this.canvas, width, this.height),
      slot = width / app.length();
    const [low, high] = this.bounds();
    for (let t = 0; t < episode.steps; t++) {
      const said = episode.distribution(t),
        chosen = episode.chosen(t);
      this.listed.forEach((i, n) => {
        const share = said ? clamp((said[0][i] - low) / (high - low || 1), 0, 1) : 0;
        this.cell(context, t * slot, n * ACTION_ROW, slot, share, chosen.has(i));
      });
    }
  }

  /** Draw an action at a step, from pixel to pixel: no seam may look like a mark. */
  cell(context, x, y, slot, share, chosen) {
    const left = Math.round(x),
      across = Math.max(1, Math.round(x + slot) - left);
    context.globalAlpha = 0.06 + 0.74 * share;
    context.fillStyle = inks.dim;
    context.fillRect(left, y + 1, across, ACTION_ROW - 2);
    context.globalAlpha = 1;
    if (!chosen) return;
    context.fillStyle = inks.accent;
    context.fillRect(left, y + ACTION_ROW / 2 - 1.5, across, 3);
  }

  /** Return from where to where a cell goes from light to dark. */
  bounds() {
    const { episode } = this.side;
    if (episode.recording.distribution !== "q_values") return [0, 1];
    return bounds(Array.from(episode.arrays.distribution).filter(Number.isFinite));
  }

  point(t) {
    super.point(t);
    const { episode } = this.side;
    say(this.value, t < episode.steps ? episode.actionText(t) : "");
  }
}

/** One dimension of a continuous action over time: taken, in a band of one standard deviation. */
class DimensionCurve extends Curve {
  constructor(side, i) {
    const { episode } = side,
      each = (of) => Array.from({ length: episode.steps }, (_, t) => of(t));
    super(side, episode.recording.action_names[i], "line", () => each((t) => episode.action(t)[i]));
    this.element.title = "the action taken, in a band of one standard deviation about the mean";
    const said = each((t) => episode.distribution(t));
    this.ends = [1, 2].map((row) => said.map((rows) => (rows ? rows[row][i] : NaN)));
  }

  reach() {
    return this.ends.flat();
  }

  behind(context, x, y) {
    drawBand(context, ...this.ends, x, y);
  }
}
