// Objects of past steps: a row for each, with a bar for each step in which it was observed.

import { barShare, fillBar } from "./bars.js";
import { formatOffset, formatRest, labelInterval } from "./display.js";
import { createElement, setText } from "./dom.js";
import { trueTokens } from "./ground_truth.js";
import { Heading } from "./heading.js";
import { largest, sum } from "./numbers.js";
import { partTokens, partWeights } from "./token_parts.js";

const MIN_COLUMN = 12; // CSS pixels of a step's bar; a longer past is shown by its newest steps
const COLUMNS_WIDTH = 170; // CSS pixels of the bars of a row
const DIGIT_WIDTH = 7; // CSS pixels of a digit in the heading of a column

/** The entities of past steps as a table: objects by steps, oldest step first. */
export class PastTable {
  constructor(pane, { parts, rows }) {
    this.pane = pane;
    this.parts = parts.map((p) => pane.episode.parts[p]);
    this.shown = this.parts.slice(-Math.floor(COLUMNS_WIDTH / MIN_COLUMN)); // that have room
    this.heading = new Heading(`past steps of ${this.parts[0].title}`);
    this.rows = Array.from({ length: rows }, () => this.createRow());
    this.rest = createElement("p", { class: "rest" });
    const head = createElement(
      "tr",
      {},
      createElement("th", { scope: "col" }, "object"),
      ...this.offsetHeadings(),
      createElement("th", { scope: "col" }, "sum"),
    );
    const table = createElement(
      "table",
      {},
      createElement("thead", {}, head),
      createElement("tbody", {}, ...this.rows.map((row) => row.element)),
    );
    this.element = createElement(
      "section",
      { class: "past" },
      this.heading.element,
      table,
      this.rest,
    );
  }

  /** Return the headings of the columns; some are written, all are spoken. */
  offsetHeadings() {
    const offsets = this.shown.map((part) => part.offset),
      width = DIGIT_WIDTH * (String(offsets[0]).length + 1),
      interval = labelInterval(COLUMNS_WIDTH / offsets.length, width);
    return offsets.map((offset) => {
      const text = createElement("span", {}, offset % interval ? "" : String(offset));
      return createElement("th", { scope: "col", "aria-label": formatOffset(offset) }, text);
    });
  }

  createRow() {
    const name = createElement("th", { scope: "row" }),
      weight = createElement("td", { class: "weight" });
    const cells = this.shown.map(() => this.createCell());
    const bars = cells.map((cell) => createElement("td", {}, cell.element));
    return { element: createElement("tr", {}, name, ...bars, weight), name, weight, cells };
  }

  createCell() {
    const filled = createElement("span", { class: "filled" }),
      track = createElement("span", { class: "track" }, filled);
    const element = createElement("button", { type: "button" }, track);
    const cell = { element, track, filled, token: null };
    element.addEventListener("click", () => this.pane.select(cell.token));
    return cell;
  }

  draw(t, view) {
    const weights = view.weights(t),
      largestShown = largest(this.shown.map((part) => largest(partWeights(weights, part)))),
      top = view.signed ? view.top(weights) : largestShown,
      objects = this.objects(t, weights).sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
    const rest = objects.splice(this.rows.length);
    objects.sort((a, b) => a.number - b.number);
    this.rows.forEach((row, n) => {
      row.element.hidden = !objects[n];
      if (objects[n]) this.fillRow(row, objects[n], t, view, top || 1e-9);
    });
    const total = sum(this.parts.map((part) => sum(partWeights(weights, part)))),
      full = top > 0 ? `, full bar ${view.format(top, 3)}` : "";
    setText(this.heading.note, `${view.describeSum(total)}${full}`);
    this.rest.hidden = !rest.length;
    setText(
      this.rest,
      formatRest(rest.length, view.format(sum(rest.map((object) => object.sum)), 3)),
    );
  }

  /** Return the objects of the past at a step: names, sums, and the token at each offset. */
  objects(t, weights) {
    const { episode } = this.pane,
      objects = new Map();
    for (const part of this.parts) {
      for (const i of partTokens(part)) {
        const number = episode.arrays.past_object[t * episode.tokens + i];
        if (number < 0) continue;
        if (!objects.has(number)) {
          const name = episode.facts.objects[number];
          objects.set(number, { number, name, sum: 0, tokens: new Map() });
        }
        objects.get(number).tokens.set(part.offset, i);
      }
    }
    for (const object of objects.values())
      object.sum = sum([...object.tokens.values()].map((i) => weights[i]));
    return [...objects.values()];
  }

  fillRow(row, object, t, view, top) {
    const weights = view.weights(t),
      matters = trueTokens(this.pane, t) ?? [];
    setText(row.name, object.name);
    row.name.title = object.name;
    setText(row.weight, view.format(object.sum, 3));
    row.cells.forEach((cell, n) => {
      const { offset } = this.shown[n],
        i = object.tokens.get(offset) ?? null;
      cell.token = i;
      cell.element.hidden = i === null;
      if (i === null) return;
      const share = barShare(view, weights[i], top);
      fillBar(this.pane.app.colors, view, cell.track, cell.filled, share);
      cell.element.classList.toggle("matters", matters.includes(i));
      cell.element.setAttribute("aria-pressed", String(this.pane.chosen() === i));
      const weight = `${view.noun} ${view.format(weights[i], 3)}`,
        end = matters.includes(i) ? ", matters" : "",
        text = `${object.name}, ${formatOffset(offset)}: ${weight}${end}`;
      cell.element.setAttribute("aria-label", text);
      cell.element.title = text;
    });
  }
}
