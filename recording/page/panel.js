// The numbers of a step, and which map is shown, in words.

/** Value, reward and the return so far. */
class NumbersPanel {
  constructor(side) {
    this.side = side;
    const unit = side.episode.recording.value_unit;
    const names = [`${unit} value`.trim(), "reward", "return so far"];
    this.values = names.map(() => make("dd", {}));
    const pairs = names.map((name, i) => make("div", {}, make("dt", {}, name), this.values[i]));
    this.element = make("dl", { class: "numbers" }, ...pairs);
  }

  draw(t) {
    const { arrays, returns, steps } = this.side.episode,
      last = Math.min(t, steps - 1);
    const [value, reward, total] = this.values;
    say(value, t < steps ? number(arrays.value[t]) : "none");
    say(reward, number(arrays.reward[last]));
    reward.className = arrays.reward[last] > 0 ? "good" : arrays.reward[last] < 0 ? "bad" : "";
    say(total, number(returns[last]));
  }
}

/** Which map is shown, how far it spreads, and what of it is not drawn. */
class WordsPanel {
  constructor() {
    this.heading = new Heading("attention");
    this.lines = Array.from({ length: 6 }, (_, n) => make("p", { class: n ? null : "attended" }));
    this.why = make("p", { class: "why" });
    this.element = make(
      "section",
      { class: "attention" },
      this.heading.element,
      ...this.lines,
      this.why,
    );
  }

  draw(t, look, attended) {
    const { reason, recorded } = look.episode.recording.rollout[look.facts.role];
    this.why.hidden = !reason || recorded !== null;
    say(this.why, this.why.hidden ? "" : `No attention rollout: ${reason}.`);
    const [first, second] = look.lines(t);
    const said = attended
      ? [first, second, ...look.notes(t), look.spread(t)]
      : ["this action is not the policy's: nothing was attended to"];
    this.lines.forEach((line, n) => {
      line.hidden = !said[n];
      say(line, said[n] ?? "");
    });
  }
}
