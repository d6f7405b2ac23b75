// What the maps of a recording are worth: a sentence, and under it the table and the curves.

const PLOTS = [
  ["the heaviest tokens removed first: how far the policy changes", "deletion"],
  ["the heaviest put back first: how near the policy comes to itself", "insertion"],
];
const COMPARED = ["causal", "random"]; // the orders that stand beside that of the drawn map
const PLOT = [200, 90];

/** Return the sentence, with all the numbers behind it where there are any. */
function worth({ verdict, rule, headings, maps }) {
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
  const head = ["order of", "verdict", ...headings].map((text) => make("th", { scope: "col" }, text));
  const rows = maps.map(({ name, drawn, cells, verdict }) =>
    make(
      "tr",
      { class: drawn ? "drawn" : null },
      make("th", { scope: "row" }, drawn ? `${name} (drawn)` : name),
      ...[verdict, ...cells].map((text) => make("td", {}, text)),
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

/** Return a small plot of a curve of several orders; null where nothing is known. */
function plot(title, name, maps, n) {
  const known = maps.filter(({ curves }) => curves[n].length);
  if (!known.length) return null;
  const [width, height] = PLOT;
  const svg = vector("svg", { viewBox: `-4 -4 ${width + 8} ${height + 8}`, role: "img" });
  svg.setAttribute("aria-label", `${name} curves of ${known.map((one) => one.name).join(", ")}`);
  svg.append(vector("path", { class: "axes", d: `M0 0V${height}H${width}` }));
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

/** Return the class of the line of an order. */
function lineOf({ drawn, name }) {
  return drawn ? "drawn" : name;
}

function vector(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
