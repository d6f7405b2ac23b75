// The action, how the policy saw all of them, and how it does without a token.

const KINDS = {
  probabilities: "probability",
  q_values: "Q value, from least to most",
  gaussian: "mean and standard deviation",
};
const MOST_ACTIONS = 24;

/** The action taken, and how the policy saw all actions. */
class ActionPanel {
  constructor(side) {
    this.side = side;
    const { recording } = side.episode;
    this.heading = new Heading("action");
    this.taken = make("p", { class: "taken" });
    this.without = make("p", { class: "without" });
    this.rows = Array.from({ length: Math.min(recording.action_names.length, MOST_ACTIONS) }, () =>
      this.row(),
    );
    const rows = make("div", { class: "rows" }, ...this.rows.map((row) => row.element));
    this.element = make(
      "section",
      { class: "action" },
      this.heading.element,
      this.taken,
      this.without,
      rows,
    );
    const cut = recording.action_names.length > MOST_ACTIONS;
    const of = cut ? `, ${MOST_ACTIONS} of ${recording.action_names.length}` : "";
    say(this.heading.note, KINDS[recording.distribution] + of);
    this.taken.hidden = recording.action_kind === "continuous";
  }

  row() {
    const parts = {};
    for (const kind of ["name", "weight", "changed", "filled", "other", "mean", "done"])
      parts[kind] = make("span", { class: kind });
    const { name, weight, changed, filled, other, mean, done } = parts;
    const track = make("span", { class: "track" }, filled, mean, other, done);
    return { ...parts, element: make("div", { class: "row" }, name, track, weight, changed) };
  }

  draw(t) {
    const { episode } = this.side,
      said = episode.distribution(t),
      chosen = episode.chosen(t);
    say(this.taken, episode.actionText(t));
    const hidden = this.side.hidden(t),
      other = hidden && hidden.rows;
    this.tell(t, hidden);
    this.element.classList.toggle("compared", Boolean(other));
    const continuous = episode.recording.action_kind === "continuous";
    this.shown(said, chosen).forEach((i, n) => {
      const row = this.rows[n];
      say(row.name, episode.recording.action_names[i]);
      row.name.title = episode.recording.action_names[i];
      row.element.classList.toggle("chosen", chosen.has(i));
      if (continuous) this.dimension(row, i, episode.action(t)[i], said, other);
      else this.choice(row, i, said, other);
    });
  }

  /** Say what the policy would have done without the token that is hidden. */
  tell(t, hidden) {
    const { episode, shown, selected } = this.side;
    this.without.hidden = !shown.hide || selected === null;
    if (!hidden) return say(this.without, "with the token hidden: not computed at this step");
    const text = episode.actionText(t, hidden.action),
      before = episode.actionText(t, episode.likeliest(t));
    const best = `likeliest ${text}${text === before ? ", as with it" : `, not ${before}`}`;
    const value = Number.isFinite(hidden.value) ? `, value ${number(hidden.value)}` : "";
    const change = `${episode.scored.said(episode.scored.causal(t)[hidden.token])} ${episode.scored.unit}`;
    const name = episode.name(t, hidden.token);
    say(this.without, `without ${name}: ${best}${value}; the policy changes by ${change}`);
  }

  /** Return the choices to show, in order: all that fit, the chosen and the likeliest first. */
  shown(said, chosen) {
    const order = this.side.episode.recording.action_names.map((_, i) => i);
    if (order.length > MOST_ACTIONS && said) {
      order.sort((a, b) => chosen.has(b) - chosen.has(a) || said[0][b] - said[0][a]);
    }
    return order.slice(0, MOST_ACTIONS).sort((a, b) => a - b);
  }

  choice(row, i, said, other) {
    row.mean.hidden = row.done.hidden = true;
    const q = this.side.episode.recording.distribution === "q_values";
    const all = [...(said ? said[0] : []), ...(other ? other[0] : [])];
    const [low, high] = bounds(all);
    const bar = (mark, label, rows) => {
      if (!rows) {
        mark.style.width = "0";
        return say(label, mark === row.filled ? "none" : "");
      }
      const value = rows[0][i];
      const share = !q ? value : high > low ? 0.04 + (0.96 * (value - low)) / (high - low) : 1;
      mark.style.width = `${100 * clamp(share, 0, 1)}%`;
      say(label, q ? number(value) : value.toFixed(3));
    };
    bar(row.filled, row.weight, said);
    bar(row.other, row.changed, other);
  }

  /** Draw a dimension of a continuous action: mean and deviation as a band, taken as a dot. */
  dimension(row, i, action, said, other) {
    const [band, changed] = [said, other].map((rows) => (rows ? rows.map((own) => own[i]) : []));
    const [low, high] = this.range(i, action, [...band, ...changed]);
    const at = (value) => 100 * clamp((value - low) / (high - low), 0, 1);
    const draw = (mark, [, least, most]) => {
      mark.style.left = `${at(least)}%`;
      mark.style.width = `${Math.max(1, at(most) - at(least))}%`;
    };
    const known = band.length > 0 && band.every(Number.isFinite);
    row.filled.hidden = row.mean.hidden = !known;
    row.other.hidden = !changed.every(Number.isFinite) || !changed.length;
    if (known) draw(row.filled, band);
    if (known) row.mean.style.left = `${at(band[0])}%`;
    if (!row.other.hidden) draw(row.other, changed);
    row.done.style.left = `${at(action)}%`;
    say(row.weight, number(action));
    say(row.changed, row.other.hidden ? "" : number(changed[0]));
  }

  range(i, action, band) {
    const bounds = this.side.episode.recording.action_bounds;
    if (bounds) return bounds[i];
    const reach = Math.max(1, ...[action, ...band].filter(Number.isFinite).map(Math.abs));
    return [-reach, reach];
  }
}
