// All curves of a recording, one above the other, with one cursor through all.

const MOST_DIMENSIONS = 6;

/** All curves of a recording. */
class Curves {
  constructor(side) {
    this.side = side;
    const { episode } = side,
      each = (of) => () => Array.from({ length: episode.steps }, (_, t) => of(t));
    const unit = episode.recording.value_unit;
    this.rows = [
      new Curve(
        side,
        "reward",
        "bars",
        each((t) => episode.arrays.reward[t]),
      ),
      new Curve(
        side,
        `${unit} value`.trim(),
        "line",
        each((t) => episode.arrays.value[t]),
      ),
    ];
    if (episode.recording.distribution === "probabilities") {
      this.rows.push(
        new Curve(
          side,
          "entropy of the policy",
          "line",
          each((t) => episode.policyEntropy(t)),
        ),
      );
    }
    this.rows.push(...this.actionRows());
    this.spread = new Curve(side, "effective tokens", "line", () =>
      Array.from(side.base().all().spread),
    );
    this.spread.element.title =
      "how many tokens share the weight: the exponential of the entropy of the weights";
    this.shift = new Curve(side, "attention shift", "line", () =>
      Array.from(side.base().all().shift),
    );
    this.shift.element.title = "share of the weight that lies elsewhere than a step before";
    this.token = new Curve(side, "chosen token", "line", () => this.history());
    this.rows.push(this.spread, this.shift, this.token, new Axis(side));
    this.element = make("div", { class: "curves" }, ...this.rows.map((row) => row.element));
  }

  actionRows() {
    const { recording } = this.side.episode;
    if (recording.action_kind !== "continuous") return [new ActionRaster(this.side)];
    return recording.action_names
      .slice(0, MOST_DIMENSIONS)
      .map((_, i) => new DimensionCurve(this.side, i));
  }

  /** Return the weight of the chosen token at every step; none where it is not there. */
  history() {
    const { episode, selected } = this.side;
    if (selected === null) return [];
    const base = this.side.base(),
      { weights } = base.all();
    return Array.from({ length: episode.steps }, (_, t) => {
      const i = episode.find(t, selected);
      const there = i >= 0 && episode.present(t, i) && base.known(t);
      return there ? weights[t * episode.tokens + i] : NaN;
    });
  }

  redraw() {
    refreshInk();
    const { episode, selected } = this.side,
      drawable = this.side.base().facts.drawable;
    this.spread.element.hidden = this.shift.element.hidden = !drawable;
    this.token.element.hidden = selected === null || !drawable;
    if (selected !== null)
      say(this.token.title, `${this.side.base().noun} of ${episode.nameOf(selected)}`);
    for (const row of this.rows) if (!row.element.hidden) row.redraw();
  }

  point(t) {
    for (const row of this.rows) if (!row.element.hidden) row.point(t);
  }
}
