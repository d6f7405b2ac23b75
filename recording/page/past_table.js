// Objects of past steps: a row for each, with a bar for each step in which it was observed.

const LEAST_CELL = 12; // pixels of a step's bar; a longer past is shown by its newest steps
const CELLS = 170; // pixels of the bars of a row

/** The entities of past steps as a table: objects by steps, oldest step first. */
class PastTable {
  constructor(side, group) {
    Object.assign(this, { side, parts: group.map((p) => side.episode.parts[p]) });
    this.shown = this.parts.slice(-Math.floor(CELLS / LEAST_CELL)); // steps that have room
    this.heading = new Heading(`past steps of ${this.parts[0].title}`);
    const count = Math.min(MOST_ROWS, Math.max(...this.parts.map((part) => part.names.length)));
    this.rows = Array.from({ length: count }, () => this.row());
    this.rest = make("p", { class: "rest" });
    const ages = this.shown.map((part) => make("th", { scope: "col" }, String(part.offset)));
    const head = make(
      "tr",
      {},
      make("th", { scope: "col" }, "object"),
      ...ages,
      make("th", {}, "sum"),
    );
    const rows = this.rows.map((row) => row.element);
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
    this.element = make("section", { class: "past" }, this.heading.element, table, this.rest);
  }

  row() {
    const name = make("th", { scope: "row" }),
      weight = make("td", { class: "weight" });
    const cells = this.shown.map(() => this.cell());
    const bars = cells.map((cell) => make("td", {}, cell.element));
    return { element: make("tr", {}, name, ...bars, weight), name, weight, cells };
  }

  cell() {
    const filled = make("span", { class: "filled" });
    const element = make("button", { type: "button" }, make("span", { class: "track" }, filled));
    const cell = { element, filled, token: null };
    element.addEventListener("click", () => this.side.select(cell.token));
    return cell;
  }

  draw(t, look) {
    const weights = look.weights(t),
      top = largest(weights) || 1e-9;
    const objects = [...this.objects(t)].map(([name, seen]) => {
      return { name, seen, sum: sum([...seen.values()].map((i) => weights[i])) };
    });
    objects.sort((a, b) => b.sum - a.sum);
    const rest = objects.splice(this.rows.length);
    objects.sort((a, b) => inOrder(a.name, b.name));
    this.rows.forEach((row, n) => {
      row.element.hidden = !objects[n];
      if (objects[n]) this.fill(row, objects[n], t, look, top);
    });
    const all = sum([...objects, ...rest].map((each) => each.sum));
    say(this.heading.note, `${look.noun}, sum ${all.toFixed(2)}`);
    this.rest.hidden = !rest.length;
    say(this.rest, others(rest.length, sum(rest.map((each) => each.sum))));
  }

  /** Return the objects of the past at a step: by name, which token each was at which offset. */
  objects(t) {
    const { episode } = this.side,
      found = new Map();
    for (const { start, names, offset } of this.parts) {
      for (let i = start; i < start + names.length; i++) {
        if (!episode.present(t, i)) continue;
        const name = episode.name(t, i, false);
        if (!found.has(name)) found.set(name, new Map());
        found.get(name).set(offset, i);
      }
    }
    return found;
  }

  fill(row, { name, seen, sum: total }, t, look, top) {
    const weights = look.weights(t),
      matters = truthOf(this.side, t) ?? [];
    say(row.name, name);
    row.name.title = name;
    say(row.weight, look.said(total, 3));
    row.cells.forEach((cell, n) => {
      const { offset } = this.shown[n],
        i = seen.get(offset) ?? null;
      cell.token = i;
      cell.element.hidden = i === null;
      if (i === null) return;
      const share = weights[i] / top;
      cell.filled.style.width = `${100 * clamp(share, 0, 1)}%`;
      cell.filled.style.background = this.side.app.colours.bar(share);
      cell.element.classList.toggle("matters", matters.includes(i));
      cell.element.setAttribute("aria-pressed", String(this.side.chosen() === i));
      const words = `${name}, ${offset} steps: ${look.noun} ${look.said(weights[i], 3)}`;
      cell.element.setAttribute("aria-label", words);
      cell.element.title = words;
    });
  }
}

/** Order names by their numbers: "car 2" comes before "car 10". */
function inOrder(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}
