// Tokens in rows, each with a bar: those without a place on the frame, and the most attended ones.

import { barShare, fillBar } from "./bars.js";
import { display, formatNumber, formatRest } from "./display.js";
import { createElement, setText } from "./dom.js";
import { trueTokens } from "./ground_truth.js";
import { Heading } from "./heading.js";
import { largest, rankSizes, rankWeights, sum } from "./numbers.js";
import { partTokens, partWeights } from "./token_parts.js";

const MAX_BEST = 8;
const BEST_TITLES = { removal: "matters most", evidence: "most evidence" };
const NO_TOKEN = { token: null, observed: "", absent: false, read: false };

/** Rows of tokens with a bar each; a row can be chosen. */
class TokenRows {
  constructor(pane, title, count) {
    this.pane = pane;
    this.heading = new Heading(title);
    this.rows = Array.from({ length: count }, () => this.createRow());
    this.rest = createElement("p", { class: "rest" });
    const list = createElement("div", { class: "rows" }, ...this.rows.map((row) => row.element));
    this.element = createElement(
      "section",
      { class: "tokens" },
      this.heading.element,
      list,
      this.rest,
    );
  }

  createRow() {
    const [name, observed, weight] = ["name", "value", "weight"].map((part) =>
      createElement("span", { class: part }),
    );
    const filled = createElement("span", { class: "filled" }),
      track = createElement("span", { class: "track" }, filled);
    const attributes = { type: "button", class: "row" };
    const element = createElement("button", attributes, name, observed, track, weight);
    const row = { element, name, observed, weight, filled, track, token: null };
    element.addEventListener("click", () => row.token !== null && this.pane.select(row.token));
    return row;
  }

  /** Show tokens: `{token, name, observed, text, share, absent, read}` each. */
  show(tokens, note, rest = "") {
    setText(this.heading.note, note);
    setText(this.rest, rest);
    this.rest.hidden = !rest;
    const chosen = this.pane.chosen(),
      matters = trueTokens(this.pane, this.pane.t) ?? [];
    this.rows.forEach((row, n) => {
      row.element.hidden = !tokens[n];
      if (tokens[n]) this.fillRow(row, tokens[n], chosen, matters.includes(tokens[n].token));
    });
  }

  fillRow(row, facts, chosen, matters) {
    const { token, absent } = facts;
    row.token = token;
    row.element.disabled = token === null;
    row.element.classList.toggle("absent", absent);
    row.element.setAttribute("aria-pressed", String(token !== null && token === chosen));
    row.element.classList.toggle("matters", matters);
    row.element.title = matters ? "the environment says that it matters" : "";
    setText(row.name, facts.name);
    row.name.title = facts.name;
    setText(row.observed, absent ? "" : facts.observed);
    setText(row.weight, absent ? "absent" : `${facts.read ? "read " : ""}${facts.text}`);
    row.track.hidden = absent;
    fillBar(this.pane.app.colors, facts.view, row.track, row.filled, facts.share);
  }
}

/** Describe a token for a row. */
function tokenFacts(pane, t, i, weights, top, view) {
  const { episode } = pane,
    value = episode.value(t, i),
    weight = weights[i];
  return {
    token: i,
    name: episode.name(t, i),
    observed: value === null ? episode.category(t, i) : formatNumber(value),
    weight,
    text: view.format(weight, 3),
    share: barShare(view, weight, top),
    view,
    absent: !episode.present(t, i),
    read: view.chooses && weight > 0,
  };
}

/** Describe a key that is no token for a row. */
function keyFacts(name, weight, top, view) {
  return { ...NO_TOKEN, name, weight, text: view.format(weight, 3), share: weight / top, view };
}

/** The tokens of one part as named bars. */
export class PartBars {
  constructor(pane, p) {
    this.pane = pane;
    this.part = pane.episode.parts[p];
    this.rows = new TokenRows(pane, this.part.title, Math.min(this.part.count, display.max_rows));
    this.element = this.rows.element;
  }

  draw(t, view) {
    const weights = view.weights(t),
      top = view.top(weights),
      total = sum(partWeights(weights, this.part)),
      hidden = this.part.count - display.max_rows;
    let order = partTokens(this.part),
      rest = "";
    if (hidden > 0) {
      const size = (i) => Math.abs(weights[i]);
      order = order.sort((a, b) => size(b) - size(a) || a - b).slice(0, display.max_rows);
      rest = formatRest(hidden, view.format(total - sum(order.map((i) => weights[i])), 3));
    }
    const facts = order.map((i) => tokenFacts(this.pane, t, i, weights, top, view));
    this.rows.show(facts, view.describeSum(total), rest);
  }
}

/** The most attended tokens, wherever they stand; of a map over other keys those. */
export class BestTokens {
  constructor(pane) {
    this.pane = pane;
    this.rows = new TokenRows(pane, "most attended", MAX_BEST);
    this.element = this.rows.element;
    const { layout, parts } = pane.episode;
    const bars = layout.bars.filter((p) => parts[p].count <= display.max_rows);
    this.redundant = bars.length === parts.length; // every token has a bar of its own already
  }

  draw(t, view) {
    const { facts } = view;
    this.element.hidden = facts.drawable && this.redundant;
    if (this.element.hidden) return;
    if (!facts.drawable) return this.drawKeys(view, view.row(t), facts);
    const weights = view.weights(t),
      top = view.top(weights);
    setText(this.rows.heading.title, BEST_TITLES[facts.queries] ?? "most attended");
    const best = rankSizes(weights)
      .filter(([i]) => this.pane.episode.present(t, i))
      .slice(0, MAX_BEST)
      .map(([i]) => tokenFacts(this.pane, t, i, weights, top, view));
    const extras = view.extras(t).map(([name, weight]) => keyFacts(name, weight, top, view));
    const size = (facts) => Math.abs(facts.weight),
      tokens = [...best, ...extras].sort((a, b) => size(b) - size(a)).slice(0, MAX_BEST);
    this.rows.show(tokens, view.noun);
  }

  drawKeys(view, row, facts) {
    const top = largest(row) || 1e-9,
      best = rankWeights(row).slice(0, MAX_BEST);
    setText(this.rows.heading.title, facts.keys);
    const keys = best.map(([k, weight]) => keyFacts(`${facts.keys} ${k}`, weight, top, view));
    this.rows.show(keys, `weight of ${row.length}; they are no tokens`);
  }
}
