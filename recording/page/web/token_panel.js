// The chosen token: where it is, and how much every map and head reads it.

import { formatNumber } from "./display.js";
import { createButton, createElement, setText } from "./dom.js";
import { trueTokens } from "./ground_truth.js";
import { Heading } from "./heading.js";
import { EVIDENCE, mapName } from "./map_kinds.js";

/** The chosen token at a step. */
export class TokenPanel {
  constructor(pane) {
    this.pane = pane;
    this.heading = new Heading("chosen token");
    this.close = createButton("let go of the token", "let go (Esc)", "let go", () =>
      pane.select(null),
    );
    this.hide = createButton(
      "hide this token",
      "what the policy does without it (d)",
      "Hide it",
      () => pane.hide(),
    );
    this.hide.hidden = !pane.episode.removal;
    this.heading.element.append(createElement("span", { class: "group" }, this.hide, this.close));
    this.name = createElement("p", { class: "taken" });
    this.facts = createElement("p", {});
    this.row = createElement("p", {});
    this.table = createElement("table", {});
    const wide = createElement(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "weights of the token" },
      this.table,
    );
    this.element = createElement(
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
    const { pane } = this,
      { episode, selected } = pane,
      i = pane.chosen();
    this.element.hidden = selected === null;
    if (selected === null) return;
    this.hide.setAttribute("aria-pressed", String(pane.shown.hide));
    setText(this.name, i < 0 ? episode.nameOf(selected) : episode.name(t, i));
    setText(this.facts, i < 0 ? "It is absent at this step." : this.describe(t, i));
    setText(this.row, this.rowText());
    this.table.hidden = i < 0;
    if (i >= 0) this.fillTable(t, i);
  }

  describe(t, i) {
    const { episode } = this.pane,
      id = episode.identity(t, i),
      box = episode.present(t, i) ? episode.box(t, i) : null;
    const facts = [`token ${i + 1} of ${episode.tokens}`];
    if (!episode.present(t, i)) facts.push("absent");
    const category = episode.present(t, i) ? episode.category(t, i) : "";
    if (category) facts.push(`where there is: ${category}`);
    if (trueTokens(this.pane, t)?.includes(i)) facts.push("the environment says that it matters");
    if (id !== null) facts.push(`object ${id}, followed by its identity`);
    if (box)
      facts.push(
        `on the picture from (${formatCorner(box.slice(0, 2))}) to (${formatCorner(box.slice(2))})`,
      );
    return `${facts.join(", ")}.`;
  }

  /** Return whose row the picture shows, in words. */
  rowText() {
    const { pane } = this,
      view = pane.viewAt(pane.t);
    if (view.signed) return "The picture shows what each token speaks for, and what against.";
    if (view.facts.queries === "removal")
      return "The picture shows how much the policy changes without each token.";
    if (pane.hasTokenRows()) {
      return view.query === null
        ? "The picture shows the mean row of all tokens."
        : "The picture shows its row: what it reads.";
    }
    const facts = view.facts;
    if (facts.queries === "tokens" && facts.reduced)
      return "Rows of single tokens were left out to save room.";
    if (facts.queries === "tokens" && facts.derived) {
      return "Rows of single tokens were not recorded (RecordAttention(full=True) records them).";
    }
    return `It has no row in this map, where ${facts.query_source} asks; the table says how much it is read.`;
  }

  fillTable(t, i) {
    const { pane } = this,
      { maps } = pane.episode.recording;
    const roleMaps = maps
      .map((facts, index) => [index, facts])
      .filter(([, facts]) => facts.role === pane.shown.role && facts.drawable);
    const heads = Math.max(0, ...roleMaps.map(([, facts]) => facts.stored_heads));
    const columns = [...Array(heads).keys()];
    const titles = roleMaps.length ? ["read by", "mean"] : [];
    const head = createElement(
      "tr",
      {},
      ...titles.map((title) => createElement("th", { scope: "col" }, title)),
    );
    if (heads > 1)
      head.append(...columns.map((h) => createElement("th", { scope: "col" }, `head ${h}`)));
    const rows = roleMaps.map(([index, facts]) => {
      const cells = ["mean", ...(heads > 1 ? columns : [])].map((h) =>
        this.cell(t, i, index, facts, h),
      );
      return createElement(
        "tr",
        {},
        createElement("th", { scope: "row" }, mapName(facts)),
        ...cells,
      );
    });
    rows.unshift(...this.evidenceRows(t, i));
    if (pane.episode.removal && pane.episode.removal.has(t)) rows.push(this.causalRow(t, i));
    this.table.replaceChildren(
      createElement("thead", {}, head),
      createElement("tbody", {}, ...rows),
    );
  }

  /** Return rows of what the token speaks for, one for each component. */
  evidenceRows(t, i) {
    const { pane } = this,
      { evidence } = pane.episode.recording;
    const views = (evidence?.components ?? []).map((_, component) =>
      pane.view({ ...pane.shown, map: EVIDENCE, component }, null),
    );
    return views.map((view, component) => {
      const value = view.weights(t)[i],
        [above, below] = view.words(t),
        words = view.isDefined(t)
          ? `${view.format(value, 3)} ${value < 0 ? below : above}`
          : "none",
        name = views.length > 1 ? `evidence, ${evidence.components[component]}` : "evidence";
      const cell = createElement("td", { class: "words", colspan: "9" }, words);
      return createElement("tr", {}, createElement("th", { scope: "row" }, name), cell);
    });
  }

  /** Return the row of how much the policy changes without it. */
  causalRow(t, i) {
    const { removal } = this.pane.episode;
    const cell = createElement(
      "td",
      { class: "words", colspan: "9" },
      `${removal.format(removal.causal(t)[i])} ${removal.unit}`,
    );
    return createElement("tr", {}, createElement("th", { scope: "row" }, "causal"), cell);
  }

  /** Return the weight in a map, or in one of its heads; a map of one head has no cell per head. */
  cell(t, i, index, facts, head) {
    const single = typeof head === "number";
    if (single && (facts.stored_heads === 1 || head >= facts.stored_heads))
      return createElement("td", {});
    const view = this.pane.view({ ...this.pane.shown, map: index, head, soft: false }, null);
    return createElement("td", {}, view.weights(t)[i].toFixed(3));
  }
}

function formatCorner(point) {
  return point.map((value) => formatNumber(value, 1)).join(", ");
}
