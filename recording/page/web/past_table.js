// Objects of past steps: a row for each, with a bar for each step in which it was observed.

const LEAST_COLUMN = 12; // CSS pixels of a step's bar; a longer past is shown by its newest steps
const COLUMNS_WIDTH = 170; // CSS pixels of the bars of a row
const DIGIT = 7; // CSS pixels of a digit in the heading of a column

/** The entities of past steps as a table: objects by steps, oldest step first. */
class PastTable {
  constructor(side, group) {
    Object.assign(this, { side, parts: group.map((p) => side.episode.parts[p]) });
    this.shown = this.parts.slice(-Math.floor(COLUMNS_WIDTH / LEAST_COLUMN)); // that have room
    this.heading = new Heading(`past steps of ${this.parts[0].title}`);
    const count = Math.min(MOST_ROWS, mostObjects(this.parts));
    this.rows = Array.from({ length: count }, () => this.row());
    this.rest = make("p", { class: "rest" });
    const ages = this.ages();
    const head = make(
      "tr",
      {},
      make("th", { scope: "col" }, "object"),
      ...ages,
      make("th", { scope: "col" }, "sum"),
    );
    const rows = this.rows.map((row) => row.element);
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
    this.element = make("section", { class: "past" }, this.heading.element, table, this.rest);
  }

  /** Return the headings of the columns; each so many-th is written, all are said. */
  ages() {
    const offsets = this.shown.map((part) => part.offset),
      room = COLUMNS_WIDTH / offsets.length,
      wide = DIGIT * (String(offsets[0]).length + 1),
      every = [1, 2, 4, 5, 10].find((n) => n * room >= wide);
    return offsets.map((offset) => {
      const text = make("span", {}, offset % every ? "" : String(offset));
      return make("th", { scope: "col", "aria-label": ago(offset) }, text);
    });
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
      own = (part) => weights.subarray(part.start, part.start + part.names.length),
      top = largest(this.shown.map((part) => largest(own(part))));
    const objects = this.objects(t).map(({ name, tokens }) => {
      return { name, tokens, sum: sum([...tokens.values()].map((i) => weights[i])) };
    });
    objects.sort((a, b) => b.sum - a.sum);
    const rest = objects.splice(this.rows.length);
    objects.sort((a, b) => inOrder(a.name, b.name));
    this.rows.forEach((row, n) => {
      row.element.hidden = !objects[n];
      if (objects[n]) this.fill(row, objects[n], t, look, top || 1e-9);
    });
    const all = sum(this.parts.map((part) => sum(own(part)))),
      full = top > 0 ? `, full bar ${look.said(top, 3)}` : "";
    say(this.heading.note, `${look.noun}, sum ${all.toFixed(2)}${full}`);
    this.rest.hidden = !rest.length;
    say(this.rest, others(rest.length, sum(rest.map((each) => each.sum))));
  }

  /** Return the objects of the past at a step: names, and which token each was at which offset. */
  objects(t) {
    const { episode } = this.side,
      found = new Map();
    for (const { start, names, offset } of this.parts) {
      names.forEach((name, row) => {
        if (!episode.present(t, start + row)) return;
        const { key, called } = seenAs(name, episode.identity(t, start + row), row);
        if (!found.has(key)) found.set(key, { name: called, tokens: new Map() });
        found.get(key).tokens.set(offset, start + row);
      });
    }
    return [...found.values()];
  }

  fill(row, { name, tokens, sum: total }, t, look, top) {
    const weights = look.weights(t),
      matters = truthOf(this.side, t) ?? [];
    say(row.name, name);
    row.name.title = name;
    say(row.weight, look.said(total, 3));
    row.cells.forEach((cell, n) => {
      const { offset } = this.shown[n],
        i = tokens.get(offset) ?? null;
      cell.token = i;
      cell.element.hidden = i === null;
      if (i === null) return;
      const share = weights[i] / top,
        known = matters.includes(i);
      cell.filled.style.width = `${100 * clamp(share, 0, 1)}%`;
      cell.filled.style.background = this.side.app.colours.bar(share);
      cell.element.classList.toggle("matters", known);
      cell.element.setAttribute("aria-pressed", String(this.side.chosen() === i));
      const weighed = `${look.noun} ${look.said(weights[i], 3)}${known ? ", matters" : ""}`;
      const words = `${name}, ${ago(offset)}: ${weighed}`;
      cell.element.setAttribute("aria-label", words);
      cell.element.title = words;
    });
  }
}

/** Return how many objects there can be: those with numbers may be others at each step. */
function mostObjects(parts) {
  const rows = parts.flatMap((part) => part.names.map((name, row) => [name, row]));
  const fixed = rows.filter(([name]) => !stemOf(name));
  return rows.length - fixed.length + new Set(fixed.map(([name, row]) => `${row} ${name}`)).size;
}
