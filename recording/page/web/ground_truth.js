// Tokens that matter by the environment's own rules: dashes on the picture and beside it, and in
// words.

import { pictureColor } from "./display.js";
import { createElement, setText } from "./dom.js";
import { strokeBox } from "./entities.js";
import { sum } from "./numbers.js";

const DASHES = [5, 4]; // pixels drawn and left out
const INSET = 2.5; // of the dashes in a cell: neighbours and the edge of a chosen one stay apart
const OUTSET = 5; // of the dashes round an entity, beyond its own outline
const MAX_NAMES = 6;

/** Say whether the environment of an episode says what matters. */
export function hasTruth(episode) {
  return Boolean(episode.removal && episode.arrays.true);
}

/** Say whether it is shown: not after the last step, nor where it is turned off. */
function showsTruth({ app, episode, t }) {
  return app.settings.truth && hasTruth(episode) && t < episode.steps;
}

/** Return the tokens that the environment says matter at a step; null where that is not shown, or
 * not known. */
export function trueTokens(pane, t) {
  return showsTruth(pane) ? pane.episode.removal.truth(t) : null;
}

/** Mark what matters, or no longer, where an environment says it. */
export function toggleTruth(app) {
  if (app.panes.some((pane) => hasTruth(pane.episode))) app.set({ truth: !app.settings.truth });
}

/** Draw dashes round the tokens that matter. `boxOf` returns a token's box, or null. */
export function drawTruth(context, pane, t, boxOf) {
  const { parts, partOf } = pane.episode;
  for (const i of trueTokens(pane, t) ?? []) {
    const box = boxOf(i);
    if (box) drawDashes(context, box, parts[partOf[i]].kind === "entities");
  }
}

/** Draw dashes round an object, or within a cell; dark between them, to be seen on any picture. */
function drawDashes(context, box, round) {
  const inset = Math.min(INSET, Math.min(box[2] - box[0], box[3] - box[1]) / 5);
  const away = round ? OUTSET : -inset;
  context.save();
  context.lineWidth = 3;
  context.strokeStyle = pictureColor("background", 0.75);
  strokeBox(context, box, away);
  context.lineWidth = 1.75;
  context.strokeStyle = "rgb(138 190 255)";
  context.setLineDash(DASHES);
  strokeBox(context, box, away);
  context.restore();
}

/** Say which tokens matter at a step; empty where that is not shown. */
export function truthText(pane, t) {
  if (!showsTruth(pane)) return "";
  const { episode } = pane,
    tokens = trueTokens(pane, t);
  const names = tokens && tokens.map((i) => trueTokenName(episode, t, i));
  return `what the environment says matters: ${names ? listNames(names) : "not known at this step"}`;
}

/** Return what a token that matters is called: what stands there, else its own name. */
function trueTokenName(episode, t, i) {
  const name = episode.category(t, i) || episode.name(t, i),
    beyond = episode.layout.placed.includes(episode.partOf[i]) && !episode.box(t, i);
  return beyond ? `${name} (off the picture)` : name;
}

/** Return names as a list in words, each once. */
function listNames(allNames) {
  const names = [...new Set(allNames)],
    more = names.length - MAX_NAMES;
  if (!names.length) return "none of the tokens";
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Say how much of a map lies on what matters, against even weights; empty where that is not shown.
 * The numbers are those of the pointing game, agents/faithfulness/rank_metrics.py. */
export function pointingText(pane, t, view) {
  if (!showsTruth(pane) || !view.facts.drawable) return "";
  const tokens = trueTokens(pane, t);
  if (tokens === null) return "share on what matters: not known";
  if (!tokens.length) return "share on what matters: none of the tokens matters here";
  const { episode } = pane,
    sizes = view.weights(t).map(Math.abs),
    present = sizes.filter((_, i) => episode.present(t, i)),
    even = tokens.length / present.length,
    total = sum(present);
  const share = total > 0 ? sum(tokens.map((i) => sizes[i])) / total : even;
  return `share on what matters ${share.toFixed(2)}, even would be ${even.toFixed(2)}`;
}

/** A line of the legend: what the dashes are. */
export class TruthLegend {
  constructor(pane) {
    this.pane = pane;
    this.words = createElement("span", {});
    const title = "what the best next action depends on most, by the rules of the environment";
    const key = createElement("span", { class: "dashes", "aria-hidden": "true" });
    this.element = createElement("span", { class: "truth", title }, key, this.words);
  }

  draw(t) {
    const words = truthText(this.pane, t);
    this.element.hidden = !words;
    setText(this.words, `dashed: ${words}`);
  }
}
