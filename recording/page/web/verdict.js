// The verdict on the maps of a recording: a sentence, and under it the table and the curves.

import { SVG, createElement } from "./dom.js";

const PLOTS = [
  ["the heaviest tokens removed first: how far the policy changes", "deletion"],
  ["the heaviest put back first: how near the policy comes to itself", "insertion"],
];
const COMPARED = ["causal", "random"]; // the orders that stand beside that of the drawn map
const PLOT = [200, 90];
const UNMEASURED =
  "Whether this map explains the policy has not been measured: " +
  "evaluate faithfulness RECORDING measures it.";

/** Return the sentence, with all the numbers behind it; without any, how to measure them. */
export function verdictSection(facts) {
  if (facts === null) return createElement("p", { class: "unmeasured" }, UNMEASURED);
  const { verdict, rule, headings, maps } = facts;
  if (!maps.length) return createElement("p", { class: "verdict" }, verdict);
  const plotted = maps.filter(({ drawn, name }) => drawn || COMPARED.includes(name));
  const plots = PLOTS.map(([title, name], n) => curvePlot(title, name, plotted, n));
  return createElement(
    "details",
    { class: "worth" },
    createElement("summary", { class: "verdict", title: "the numbers behind it" }, verdict),
    verdictTable(headings, maps),
    createElement("div", { class: "plots" }, ...plots.filter(Boolean)),
    createElement("p", {}, rule),
  );
}

/** Return the table: an order in each row, what it comes to in each column. */
function verdictTable(headings, maps) {
  const head = ["order of", "verdict", ...headings].map((text) =>
    createElement("th", { scope: "col" }, text),
  );
  const rows = maps.map(({ name, drawn, cells, verdict }) =>
    createElement(
      "tr",
      { class: drawn ? "drawn" : null },
      createElement("th", { scope: "row" }, drawn ? `${name} (drawn)` : name),
      createElement("td", {}, verdict),
      ...cells.map(intervalCell),
    ),
  );
  const table = createElement(
    "table",
    {},
    createElement("thead", {}, createElement("tr", {}, ...head)),
    createElement("tbody", {}, ...rows),
  );
  const label = "what each order of tokens comes to, with 95% intervals";
  return createElement(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": label },
    table,
  );
}

/** Return a cell: an estimate, and under it its interval, which may break after "to". */
function intervalCell(text) {
  const [, mean, low, high] = /^(\S+) \((\S+) to (\S+)\)$/.exec(text) ?? [];
  if (mean === undefined) return createElement("td", {}, text);
  const ends = [`${low} to`, high].map((end) => createElement("span", {}, end));
  return createElement(
    "td",
    {},
    mean,
    " ",
    createElement("span", { class: "interval" }, ends[0], " ", ends[1]),
  );
}

/** Return a small plot of a curve of several orders; null where there is none. */
function curvePlot(title, name, maps, n) {
  const plotted = maps.filter(({ curves }) => curves[n].length);
  if (!plotted.length) return null;
  const [width, height] = PLOT;
  const svg = createSvg("svg", { viewBox: `-14 -6 ${width + 18} ${height + 20}`, role: "img" });
  svg.setAttribute(
    "aria-label",
    `${name} curves of ${plotted.map(({ name: order }) => order).join(", ")}`,
  );
  svg.append(createSvg("path", { class: "axes", d: `M0 0V${height}H${width}` }), ...axisNumbers());
  for (const map of plotted) {
    const points = map.curves[n].map((y, i, curve) => {
      const x = (width * i) / (curve.length - 1);
      return `${x.toFixed(1)},${(height * (1 - y)).toFixed(1)}`;
    });
    svg.append(createSvg("polyline", { class: lineClass(map), points: points.join(" ") }));
  }
  const legend = plotted.map((map) =>
    createElement("span", {}, createElement("span", { class: `key ${lineClass(map)}` }), map.name),
  );
  const caption = createElement("figcaption", {}, createElement("b", {}, name), ` ${title}`);
  return createElement(
    "figure",
    {},
    svg,
    createElement("div", { class: "legend" }, ...legend),
    caption,
  );
}

/** Return what stands at the ends of both axes. */
function axisNumbers() {
  const [width, height] = PLOT;
  const ends = [
    ["1", -4, 3, "end"],
    ["0", -4, height + 3, "end"],
    ["0%", 0, height + 11, "start"],
    ["100% of the tokens", width, height + 11, "end"],
  ];
  return ends.map(([text, x, y, anchor]) => {
    const label = createSvg("text", { x, y, "text-anchor": anchor });
    label.textContent = text;
    return label;
  });
}

/** Return the class of the line of an order. */
function lineClass({ drawn, name }) {
  return drawn ? "drawn" : name;
}

function createSvg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
