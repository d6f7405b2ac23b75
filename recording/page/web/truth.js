// What the environment itself says matters: dashes on the picture and beside it, and in words.

const DASHES = [5, 4]; // pixels drawn and left out
const INSET = 2.5; // of the dashes in a cell: neighbours and the edge of a chosen one stay apart
const OUTSET = 5; // of the dashes round an entity, beyond its own outline
const MOST_NAMED = 6;

/** Say whether the environment of an episode says what matters. */
function tellsTruth(episode) {
  return Boolean(episode.scored && episode.arrays.true);
}

/** Say whether it is shown: not after the last step, nor where nobody wants to see it. */
function showsTruth({ app, episode, t }) {
  return app.settings.truth && tellsTruth(episode) && t < episode.steps;
}

/** Return the tokens that the environment says matter at a step; null where that is not shown, or
 * not known. */
function truthOf(side, t) {
  return showsTruth(side) ? side.episode.scored.truth(t) : null;
}

/** Mark what matters, or no longer, where an environment says it. */
function toggleTruth(app) {
  if (app.sides.some((side) => tellsTruth(side.episode))) app.set({ truth: !app.settings.truth });
}

/** Draw dashes round the tokens that matter. `boxOf` returns a token's box, or null. */
function drawTruth(context, side, t, boxOf) {
  const { parts, partOf } = side.episode;
  for (const i of truthOf(side, t) ?? []) {
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
  context.strokeStyle = "rgb(18 20 24 / 0.75)";
  strokeBox(context, box, away);
  context.lineWidth = 1.75;
  context.strokeStyle = "rgb(138 190 255)";
  context.setLineDash(DASHES);
  strokeBox(context, box, away);
  context.restore();
}

/** Say which tokens matter at a step; empty where that is not shown. */
function truthWords(side, t) {
  if (!showsTruth(side)) return "";
  const { episode } = side,
    tokens = truthOf(side, t);
  const found = tokens && tokens.map((i) => calledTruth(episode, t, i));
  return `what the environment says matters: ${found ? listed(found) : "not known at this step"}`;
}

/** Return what a token that matters is called: what stands there, else its own name. */
function calledTruth(episode, t, i) {
  const name = episode.held(t, i) || episode.name(t, i),
    beyond = episode.plan.stage.includes(episode.partOf[i]) && !episode.box(t, i);
  return beyond ? `${name} (off the picture)` : name;
}

/** Return names as a list in words, each once. */
function listed(found) {
  const names = [...new Set(found)],
    others = names.length - MOST_NAMED;
  if (!names.length) return "none of the tokens";
  return names.slice(0, MOST_NAMED).join(", ") + (others > 0 ? ` and ${others} more` : "");
}

/** Say how much of a map lies on what matters, against even weights; empty where that is not shown.
 * The numbers are those of the pointing game, agents/faithfulness/rank_metrics.py. */
function pointingWords(side, t, look) {
  if (!showsTruth(side) || !look.facts.drawable) return "";
  const tokens = truthOf(side, t);
  if (tokens === null) return "share on what matters: not known";
  if (!tokens.length) return "share on what matters: none of the tokens matters here";
  const { episode } = side,
    weights = look.weights(t).filter((_, i) => episode.present(t, i)),
    even = tokens.length / weights.length,
    total = sum(weights);
  const share = total > 0 ? sum(tokens.map((i) => look.weights(t)[i])) / total : even;
  const said = [share, even].map((part) => part.toFixed(2));
  return `share on what matters ${said[0]}, even would be ${said[1]}`;
}

/** A line of the legend: what the dashes are. */
class TruthLine {
  constructor(side) {
    this.side = side;
    this.words = make("span", {});
    const title = "what the best next action depends on most, by the rules of the environment";
    const key = make("span", { class: "dashes", "aria-hidden": "true" });
    this.element = make("span", { class: "truth", title }, key, this.words);
  }

  draw(t) {
    const words = truthWords(this.side, t);
    this.element.hidden = !words;
    say(this.words, `dashed: ${words}`);
  }
}
