// What the maps of a recording are worth: a sentence, and under it the table and the curves.

const PLOTS = [
  ["the heaviest tokens removed first: how far the policy changes", "deletion"],
  ["the heaviest put back first: how near the policy comes to itself", "insertion"],
];
const COMPARED = ["causal", "random"]; // the orders that stand beside that of the drawn map
const PLOT = [200, 90];
const UNMEASURED =
  "Whether this map explains the policy has not been measured: " +
  "evaluate.py RECORDING --faithfulness measures it.";

/** Return the sentence, with all the numbers behind it; without any, how to have some. */
function worth(facts) {
  if (facts === null) return make("p", { class: "unmeasured" }, UNMEASURED);
  const { verdict, rule, headings, maps } = facts;
  if (!maps.length) return make("p", { class: "verdict" }, verdict);
  const plotted = maps.filter(({ drawn, name }) => drawn || COMPARED.includes(name));
  const plots = PLOTS.map(([title, name], n) => plot(title, name, plotted, n));
  return make(
    "details",
    { class: "worth" },
    make("summary", { class: "verdict", title: "the numbers behind it" }, verdict),
    worthTable(headings, maps),
    make("div", { class: "plots" }, ...plots.filter(Boolean)),
    make("p", {}, rule),
  );
}

/** Return the table: an order in each row, what it comes to in each column. */
function worthTable(headings, maps) {
  const head = ["order of", "verdict", ...headings].map((text) =>
    make("th", { scope: "col" }, text),
  );
  const rows = maps.map(({ name, drawn, cells, verdict }) =>
    make(
      "tr",
      { class: drawn ? "drawn" : null },
      make("th", { scope: "row" }, drawn ? `${name} (drawn)` : name),
      make("td", {}, verdict),
      ...cells.map(cellOf),
    ),
  );
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows),
  );
  const label = "what each order of tokens comes to, with 95% intervals";
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label }, table);
}

/** Return a cell: an estimate, and under it its interval, which may break after "to". */
function cellOf(text) {
  const [, mean, low, high] = /^(\S+) \((\S+) to (\S+)\)$/.exec(text) ?? [];
  if (mean === undefined) return make("td", {}, text);
  const ends = [`${low} to`, high].map((end) => make("span", {}, end));
  return make("td", {}, mean, " ", make("span", { class: "interval" }, ends[0], " ", ends[1]));
}

/** Return a small plot of a curve of several orders; null where nothing is known. */
function plot(title, name, maps, n) {
  const known = maps.filter(({ curves }) => curves[n].length);
  if (!known.length) return null;
  const [width, height] = PLOT;
  const svg = vector("svg", { viewBox: `-14 -6 ${width + 18} ${height + 20}`, role: "img" });
  svg.setAttribute("aria-label", `${name} curves of ${known.map((one) => one.name).join(", ")}`);
  svg.append(vector("path", { class: "axes", d: `M0 0V${height}H${width}` }), ...axisNumbers());
  for (const one of known) {
    const points = one.curves[n].map((y, i, all) => {
      const x = (width * i) / (all.length - 1);
      return `${x.toFixed(1)},${(height * (1 - y)).toFixed(1)}`;
    });
    svg.append(vector("polyline", { class: lineOf(one), points: points.join(" ") }));
  }
  const legend = known.map((one) =>
    make("span", {}, make("span", { class: `key ${lineOf(one)}` }), one.name),
  );
  const caption = make("figcaption", {}, make("b", {}, name), ` ${title}`);
  return make("figure", {}, svg, make("div", { class: "legend" }, ...legend), caption);
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
    const label = vector("text", { x, y, "text-anchor": anchor });
    label.textContent = text;
    return label;
  });
}

/** Return the class of the line of an order. */
function lineOf({ drawn, name }) {
  return drawn ? "drawn" : name;
}

function vector(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
