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
    this.lines = Array.from({ length: 7 }, (_, n) => make("p", { class: n ? null : "attended" }));
    this.why = make("p", { class: "why" });
    this.element = make(
      "section",
      { class: "attention" },
      this.heading.element,
      ...this.lines,
      this.why,
    );
  }

  /** `pointing` says how much of it lies on what matters; empty where nobody knows. */
  draw(t, look, attended, pointing) {
    const { reason, recorded } = look.episode.recording.rollout[look.facts.role];
    this.why.hidden = !reason || recorded !== null;
    say(this.why, this.why.hidden ? "" : `No attention rollout: ${reason}.`);
    const [first, second] = look.lines(t);
    const said = attended
      ? [first, second, ...look.notes(t), look.spread(t), pointing]
      : ["this action is not the policy's: nothing was attended to"];
    this.lines.forEach((line, n) => {
      line.hidden = !said[n];
      say(line, said[n] ?? "");
    });
  }
}

/** Say that a side shows another map than the first; empty where they show the same. */
function otherMap([first], side) {
  if ([kindOf, titleOf].some((of) => of(side) === of(first))) return "";
  const where = window.matchMedia("(max-width: 900px)").matches ? "above" : "on the left";
  const lacks = ({ episode, shown }) => rolloutOf(episode, shown.role) === null;
  const [here, there] = [side, first].map(({ episode, shown }) => isRollout(episode, shown.map));
  let why = "";
  if (there && lacks(side)) why = "; there is no rollout here";
  if (here && lacks(first)) why = `; there is no rollout ${where}`;
  return `another map than ${where}: ${titleOf(side)} instead of ${titleOf(first)}${why}`;
}

/** Return which map a side shows, so that it can be compared with that of another recording. */
function kindOf(side) {
  const { episode, shown } = side;
  return shown.map === ownMapOf(episode, shown.role) ? `${leading(side)}own` : titleOf(side);
}

/** Return what the map of a side is called. */
function titleOf(side) {
  const { episode, shown } = side;
  if (isRollout(episode, shown.map)) return `${leading(side)}rollout`;
  if (shown.map === CAUSAL) return "causal map";
  return leading(side) + mapName(episode.recording.maps[shown.map]);
}

/** Return the role of a side; empty where it is the one that acts, which algorithms name apart. */
function leading({ episode, shown }) {
  return shown.role === firstShown(episode).role ? "" : `${shown.role}, `;
}
