// The token that was chosen: where it is, and how much every map and head reads it.

/** What is known of one token at a step. */
class TokenPanel {
  constructor(side) {
    this.side = side;
    this.heading = new Heading("chosen token");
    this.close = button("let go of the token", "let go (Esc)", "let go", () => side.select(null));
    this.hide = button("hide this token", "what the policy does without it (d)", "Hide it", () =>
      side.hide(),
    );
    this.hide.hidden = !side.episode.scored;
    this.heading.element.append(make("span", { class: "group" }, this.hide, this.close));
    this.name = make("p", { class: "taken" });
    this.facts = make("p", {});
    this.row = make("p", {});
    this.table = make("table", {});
    const wide = make(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "weights of the token" },
      this.table,
    );
    this.element = make(
      "section",
      { class: "chosen-token" },
      this.heading.element,
      this.name,
      this.facts,
      this.row,
      wide,
    );
  }

  draw(t) {
    const { side } = this,
      { episode, selected } = side,
      i = side.chosen();
    this.element.hidden = selected === null;
    if (selected === null) return;
    this.hide.setAttribute("aria-pressed", String(side.shown.hide));
    say(this.name, i < 0 ? episode.nameOf(selected) : episode.name(t, i));
    say(this.facts, i < 0 ? "It is not there at this step." : this.place(t, i));
    say(this.row, this.rowWords());
    this.table.hidden = i < 0;
    if (i >= 0) this.fillTable(t, i);
  }

  place(t, i) {
    const { episode } = this.side,
      id = episode.identity(t, i),
      box = episode.present(t, i) ? episode.box(t, i) : null;
    const said = [`token ${i + 1} of ${episode.tokens}`];
    if (!episode.present(t, i)) said.push("absent");
    const held = episode.present(t, i) ? episode.held(t, i) : "";
    if (held) said.push(`where there is: ${held}`);
    if (truthOf(this.side, t)?.includes(i)) said.push("the environment says that it matters");
    if (id !== null) said.push(`object ${id}, followed by its identity`);
    if (box)
      said.push(`on the picture from (${corner(box.slice(0, 2))}) to (${corner(box.slice(2))})`);
    return `${said.join(", ")}.`;
  }

  /** Say whose row the picture shows. */
  rowWords() {
    const { side } = this,
      look = side.at(side.t);
    if (look instanceof Causal)
      return "The picture shows how much the policy changes without each token.";
    if (side.asksTokens()) {
      return look.query === null
        ? "The picture shows the mean row of all tokens."
        : "The picture shows its row: what it reads.";
    }
    const facts = look.facts;
    if (facts.queries === "tokens" && facts.reduced)
      return "Rows of single tokens were left out to save room.";
    if (facts.queries === "tokens" && facts.derived) {
      return "Rows of single tokens were not recorded (RecordAttention(full=True) records them).";
    }
    const who = look.facts.who;
    return `It has no row in this map, where ${who} asks; the table says how much it is read.`;
  }

  fillTable(t, i) {
    const { side } = this,
      { maps } = side.episode.recording;
    const own = maps
      .map((facts, index) => [index, facts])
      .filter(([, facts]) => facts.role === side.shown.role && facts.drawable);
    const heads = Math.max(...own.map(([, facts]) => facts.stored_heads));
    const columns = [...Array(heads).keys()];
    const head = make(
      "tr",
      {},
      make("th", { scope: "col" }, "read by"),
      make("th", { scope: "col" }, "mean"),
    );
    if (heads > 1) head.append(...columns.map((h) => make("th", { scope: "col" }, `head ${h}`)));
    const rows = own.map(([index, facts]) => {
      const cells = ["mean", ...(heads > 1 ? columns : [])].map((h) =>
        this.cell(t, i, index, facts, h),
      );
      return make("tr", {}, make("th", { scope: "row" }, mapName(facts)), ...cells);
    });
    if (side.episode.scored && side.episode.scored.has(t)) rows.push(this.causalRow(t, i));
    this.table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }

  /** Say how much the policy changes without it. */
  causalRow(t, i) {
    const { scored } = this.side.episode;
    const cell = make(
      "td",
      { class: "words", colspan: "9" },
      `${scored.said(scored.causal(t)[i])} ${scored.unit}`,
    );
    return make("tr", {}, make("th", { scope: "row" }, "causal"), cell);
  }

  /** Return what a map says, or one of its heads; a map of one head has no number for each. */
  cell(t, i, index, facts, head) {
    const single = typeof head === "number";
    if (single && (facts.stored_heads === 1 || head >= facts.stored_heads)) return make("td", {});
    const look = this.side.look({ ...this.side.shown, map: index, head, soft: false }, null);
    return make("td", {}, look.weights(t)[i].toFixed(3));
  }
}

function corner(at) {
  return at.map((value) => number(value, 1)).join(", ");
}

/** Return what a map is called among those of its role. */
function mapName(facts) {
  if (rolledOut(facts)) return "rollout";
  const part = facts.part ? `, ${facts.part}` : "",
    readout = facts.queries === "readout" ? ", readout" : "";
  return `layer ${facts.layer}${part}${readout}${facts.drawable ? "" : ` (${facts.keys})`}`;
}
