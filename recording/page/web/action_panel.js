// The action, how the policy saw all of them, and the policy without a token.

import { display, formatNumber } from "./display.js";
import { createElement, setText } from "./dom.js";
import { Heading } from "./heading.js";
import { clamp, valueRange } from "./numbers.js";

/** The action taken, and how the policy saw all actions. */
export class ActionPanel {
  constructor(pane) {
    this.pane = pane;
    const { recording } = pane.episode,
      count = recording.action_names.length,
      rowCount = Math.min(count, display.max_rows);
    this.continuous = recording.action_kind === "continuous";
    this.heading = new Heading("action");
    this.action = createElement("p", { class: "taken" });
    this.without = createElement("p", { class: "without" });
    this.rows = Array.from({ length: rowCount }, () => this.createRow());
    this.element = createElement(
      "section",
      { class: "action" },
      this.heading.element,
      this.action,
      this.without,
      createElement("div", { class: "rows" }, ...this.rows.map((row) => row.element)),
    );
    const cut = count > rowCount ? `, ${rowCount} of ${count}` : "";
    setText(this.heading.note, display.distribution_labels[recording.distribution] + cut);
    this.action.hidden = this.continuous;
  }

  createRow() {
    /** @type {Record<string, HTMLElement>} */
    const parts = {};
    for (const kind of ["name", "weight", "changed", "filled", "other", "mean", "done"])
      parts[kind] = createElement("span", { class: kind });
    const { name, weight, changed, filled, other, mean, done } = parts;
    const track = createElement("span", { class: "track" }, filled, mean, other, done);
    parts.element = createElement("div", { class: "row" }, name, track, weight, changed);
    return parts;
  }

  draw(t) {
    const { episode } = this.pane,
      names = episode.recording.action_names,
      distribution = episode.distribution(t),
      hidden = this.pane.hidden(t),
      changed = hidden && hidden.rows;
    setText(this.action, episode.actionText(t));
    this.drawWithout(t, hidden);
    this.element.classList.toggle("compared", Boolean(changed));
    episode.shownChoices(t).forEach((i, n) => {
      const row = this.rows[n];
      setText(row.name, names[i]);
      row.name.title = names[i];
      row.element.classList.toggle("chosen", episode.chosen(t, i));
      if (this.continuous) this.fillDimension(row, i, episode.action(t)[i], distribution, changed);
      else this.fillChoice(row, i, distribution, changed);
    });
  }

  /** Write what the policy would have done without the token that is hidden. */
  drawWithout(t, hidden) {
    const { episode, shown, selected } = this.pane;
    this.without.hidden = !shown.hide || selected === null;
    if (!hidden) return setText(this.without, "with the token hidden: not computed at this step");
    const { removal } = episode,
      likeliest = episode.likeliestText(t),
      same = hidden.action === likeliest ? ", as with it" : `, not ${likeliest}`;
    const value = Number.isFinite(hidden.value) ? `, value ${formatNumber(hidden.value)}` : "";
    const change = `${removal.format(removal.causal(t)[hidden.token])} ${removal.unit}`;
    const effect = `likeliest ${hidden.action}${same}${value}; the policy changes by ${change}`;
    setText(this.without, `without ${episode.name(t, hidden.token)}: ${effect}`);
  }

  fillChoice(row, i, distribution, changed) {
    row.mean.hidden = row.done.hidden = true;
    const isQ = this.pane.episode.recording.distribution === "q_values",
      least = display.min_q_share;
    const [low, high] = valueRange([
      ...(distribution ? distribution[0] : []),
      ...(changed ? changed[0] : []),
    ]);
    const fillBar = (mark, label, rows) => {
      if (!rows) {
        mark.style.width = "0";
        return setText(label, mark === row.filled ? "none" : "");
      }
      const value = rows[0][i];
      const scaled = high > low ? least + ((1 - least) * (value - low)) / (high - low) : 1;
      mark.style.width = `${100 * clamp(isQ ? scaled : value, 0, 1)}%`;
      setText(label, isQ ? formatNumber(value) : value.toFixed(3));
    };
    fillBar(row.filled, row.weight, distribution);
    fillBar(row.other, row.changed, changed);
  }

  /** Draw a dimension of a continuous action: mean and deviation as a band, taken as a dot. */
  fillDimension(row, i, action, distribution, changed) {
    const [band, changedBand] = [distribution, changed].map((rows) =>
      rows ? rows.map((values) => values[i]) : [],
    );
    const [low, high] = this.range(i, [action, ...band, ...changedBand]);
    const percent = (value) => 100 * clamp((value - low) / (high - low), 0, 1);
    const fillBand = (mark, [, least, most]) => {
      mark.style.left = `${percent(least)}%`;
      mark.style.width = `${Math.max(1, percent(most) - percent(least))}%`;
    };
    const hasBand = band.length > 0 && band.every(Number.isFinite);
    row.filled.hidden = row.mean.hidden = !hasBand;
    row.other.hidden = !changedBand.every(Number.isFinite) || !changedBand.length;
    if (hasBand) fillBand(row.filled, band);
    if (hasBand) row.mean.style.left = `${percent(band[0])}%`;
    if (!row.other.hidden) fillBand(row.other, changedBand);
    row.done.style.left = `${percent(action)}%`;
    setText(row.weight, formatNumber(action));
    setText(row.changed, row.other.hidden ? "" : formatNumber(changedBand[0]));
  }

  range(i, values) {
    const bounds = this.pane.episode.recording.action_bounds;
    if (bounds) return bounds[i];
    const limit = Math.max(1, ...values.filter(Number.isFinite).map(Math.abs));
    return [-limit, limit];
  }
}
