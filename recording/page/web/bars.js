// Tokens in rows, each with a bar: those without a place on the frame, and the most attended ones.

const MOST_ROWS = 24;
const BEST = 8;

/** A heading with what its numbers are. */
class Heading {
  constructor(title, level = "h3") {
    this.title = make(level, {}, title);
    this.note = make("span", { class: "note" });
    this.element = make("div", { class: "heading" }, this.title, this.note);
  }
}

/** Rows of tokens with a bar each; a row can be chosen. */
class TokenRows {
  constructor(side, title, count) {
    this.side = side;
    this.heading = new Heading(title);
    this.rows = Array.from({ length: count }, () => this.row());
    this.rest = make("p", { class: "rest" });
    const list = make("div", { class: "rows" }, ...this.rows.map((row) => row.element));
    this.element = make("section", { class: "tokens" }, this.heading.element, list, this.rest);
  }

  row() {
    const parts = ["name", "value", "weight"].map((name) => make("span", { class: name }));
    const filled = make("span", { class: "filled" }),
      track = make("span", { class: "track" }, filled);
    const [name, seen, weight] = parts;
    const element = make("button", { type: "button", class: "row" }, name, seen, track, weight);
    const row = { element, name, seen, weight, filled, track, token: null };
    element.addEventListener("click", () => row.token !== null && this.side.select(row.token));
    return row;
  }

  /** Show tokens: `{token, name, seen, weight, said, share, absent, read}` each. */
  show(tokens, note, rest = "") {
    say(this.heading.note, note);
    say(this.rest, rest);
    this.rest.hidden = !rest;
    const chosen = this.side.chosen(),
      matters = truthOf(this.side, this.side.t) ?? [];
    this.rows.forEach((row, n) => {
      const own = tokens[n];
      row.element.hidden = !own;
      if (!own) return;
      row.token = own.token;
      row.element.disabled = own.token === null;
      row.element.classList.toggle("absent", own.absent);
      row.element.setAttribute("aria-pressed", String(own.token !== null && own.token === chosen));
      const known = matters.includes(own.token);
      row.element.classList.toggle("matters", known);
      row.element.title = known ? "the environment says that it matters" : "";
      say(row.name, own.name);
      row.name.title = own.name;
      say(row.seen, own.absent ? "" : own.seen);
      say(row.weight, own.absent ? "absent" : `${own.read ? "read " : ""}${own.said}`);
      row.track.hidden = own.absent;
      row.filled.style.width = `${100 * clamp(own.share, 0, 1)}%`;
      row.filled.style.background = this.side.app.colours.bar(own.share);
    });
  }
}

/** Describe a token for a row. */
function tokenFacts(side, t, i, weights, top, look) {
  const { episode } = side,
    part = episode.partOf[i],
    within = i - episode.parts[part].start;
  const value = episode.value(part, t, within),
    weight = weights[i];
  return {
    token: i,
    name: episode.name(t, i),
    seen: value === null ? episode.held(t, i) : number(value),
    weight,
    said: look.said(weight, 3),
    share: weight / top,
    absent: !episode.present(t, i),
    read: look.chooses && weight > 0,
  };
}

/** Return the words for tokens that there is no room for. */
function others(count, weight) {
  const said = weight.toFixed(3);
  return count === 1 ? `1 other, ${said}` : `${count} others, together ${said}`;
}

/** The tokens of one part as named bars. */
class PartBars {
  constructor(side, p) {
    Object.assign(this, { side, part: side.episode.parts[p] });
    const count = Math.min(this.part.names.length, MOST_ROWS);
    this.rows = new TokenRows(side, this.part.title, count);
    this.element = this.rows.element;
  }

  draw(t, look) {
    const { start, names } = this.part,
      weights = look.weights(t),
      top = largest(weights) || 1e-9;
    let order = names.map((_, i) => start + i);
    const own = sum(weights.subarray(start, start + names.length));
    let rest = "";
    if (names.length > MOST_ROWS) {
      order = order.sort((a, b) => weights[b] - weights[a] || a - b).slice(0, MOST_ROWS);
      const shown = sum(order.map((i) => weights[i]));
      rest = others(names.length - MOST_ROWS, own - shown);
    }
    const facts = order.map((i) => tokenFacts(this.side, t, i, weights, top, look));
    this.rows.show(facts, `${look.noun}, sum ${own.toFixed(2)}`, rest);
  }
}

/** The most attended tokens, wherever they stand; of a map over other keys those. */
class BestTokens {
  constructor(side) {
    this.side = side;
    this.rows = new TokenRows(side, "most attended", BEST);
    this.element = this.rows.element;
    const { plan, parts } = side.episode;
    const bars = plan.bars.filter((p) => parts[p].names.length <= MOST_ROWS);
    this.listed = bars.length === parts.length; // every token has a bar of its own already
  }

  draw(t, look) {
    const { facts } = look;
    this.element.hidden = facts.drawable && this.listed;
    if (this.element.hidden) return;
    if (!facts.drawable) return this.drawKeys(look, look.row(t), facts);
    const weights = look.weights(t),
      top = largest(weights) || 1e-9;
    say(this.rows.heading.title, look instanceof Causal ? "matters most" : "most attended");
    const best = ranked(weights)
      .filter(([i]) => this.side.episode.present(t, i))
      .slice(0, BEST);
    const own = best.map(([i]) => tokenFacts(this.side, t, i, weights, top, look));
    const extras = look.extras(t).map(([name, weight]) => ({
      ...KEY,
      name,
      weight,
      said: look.said(weight, 3),
      share: weight / top,
    }));
    const tokens = [...own, ...extras].sort((a, b) => b.weight - a.weight).slice(0, BEST);
    this.rows.show(tokens, look.noun);
  }

  drawKeys(look, row, facts) {
    const top = largest(row) || 1e-9;
    say(this.rows.heading.title, facts.keys);
    const best = ranked(row).slice(0, BEST);
    const keys = best.map(([k, weight]) => ({
      ...KEY,
      name: `${facts.keys} ${k}`,
      weight,
      said: look.said(weight, 3),
      share: weight / top,
    }));
    this.rows.show(keys, `weight of ${row.length}; they are no tokens`);
  }
}

const KEY = { token: null, seen: "", absent: false, read: false };
