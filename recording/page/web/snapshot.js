// The current picture as a PNG, with what belongs to it in words.

import { drawFrame } from "./attended_picture.js";
import { barColor, barShare } from "./bars.js";
import { formatNumber, pictureColor } from "./display.js";
import { themeColor } from "./dom.js";
import { pointingText, truthText } from "./ground_truth.js";
import { rankSizes } from "./numbers.js";

const PICTURE = [960, 640]; // room, in pixels
const MAX_LISTED_TOKENS = 5;
const LINE = 20;

/** Draw what the page shows: the pictures side by side, each with its caption. */
export function snapshot(app) {
  const cards = app.panes.map((pane) => drawCard(app, pane)),
    gap = 24;
  const canvas = document.createElement("canvas");
  canvas.width = cards.reduce((width, card) => width + card.width + gap, gap);
  canvas.height = Math.max(...cards.map((card) => card.height)) + 2 * gap;
  const context = canvas.getContext("2d");
  context.fillStyle = themeColor("page");
  context.fillRect(0, 0, canvas.width, canvas.height);
  let left = gap;
  for (const card of cards) {
    context.drawImage(card, left, gap);
    left += card.width + gap;
  }
  return canvas;
}

/** Draw one pane: its picture, and under it which map is shown and what was most attended. */
function drawCard(app, pane) {
  const { episode } = pane,
    t = pane.t,
    within = Math.min(t, episode.steps - 1);
  const view = t < episode.steps && pane.viewAt(within).isKnown(within) ? pane.viewAt(t) : null,
    lines = captionLines(pane, t, view);
  const best =
    view && view.facts.drawable ? rankSizes(view.weights(t)).slice(0, MAX_LISTED_TOKENS) : [];
  const picture = drawPicture(app, pane, t, view);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(480, picture ? picture.canvas.width : 0);
  const top = picture ? picture.canvas.height + 12 : 0;
  canvas.height =
    top + LINE * (lines.length + best.length + (picture && picture.heat.lift ? 1 : 0)) + 8;
  const context = canvas.getContext("2d");
  if (picture) context.drawImage(picture.canvas, 0, 0);
  let y = writeLines(context, lines, top, canvas.width);
  if (picture && picture.heat.lift) y = drawScale(context, app, picture.heat.scale, y, view, t);
  for (const [i, weight] of best) {
    const share = barShare(view, weight, view.signed ? view.top() : best[0][1] || 1);
    y = drawToken(context, app, view, episode.name(t, i), weight, share, y);
  }
  return canvas;
}

function drawPicture(app, pane, t, view) {
  const size = pane.episode.layout.size;
  if (size === null) return null;
  const fit = Math.min(PICTURE[0] / size[1], PICTURE[1] / size[0]),
    factor = fit >= 1 ? Math.floor(fit) : fit;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(size[1] * factor), Math.round(size[0] * factor)];
  const heat = drawFrame(
    canvas.getContext("2d"),
    app,
    pane,
    t,
    view,
    [canvas.width, canvas.height],
    canvas,
  );
  return { canvas, heat };
}

function captionLines(pane, t, view) {
  const { episode } = pane,
    { recording } = episode,
    played = t < episode.steps,
    truth = truthText(pane, t);
  return [
    `${recording.env_id}  ${recording.algo.toUpperCase()}`,
    pane.subtitle(),
    truth && `dashed: ${truth}`,
    played
      ? `action: ${episode.actionText(t)}, reward ${formatNumber(episode.arrays.reward[t])}`
      : "",
    ...(view ? [...view.lines(t), ...view.notes(t), view.spread(t)] : []),
    view && pointingText(pane, t, view),
  ].filter(Boolean);
}

function writeLines(context, lines, top, width) {
  lines.forEach((line, n) => {
    context.font = `${n ? "" : "600 "}14px system-ui, sans-serif`;
    context.fillStyle = themeColor(n ? "dim" : "text");
    context.fillText(line, 0, top + LINE * n + 14, width);
  });
  return top + LINE * lines.length;
}

function drawScale(context, app, scale, y, view, t) {
  if (view && view.signed) {
    const [above, below] = view.words(t);
    context.fillStyle = pictureColor("against");
    context.fillText(below, 0, y + 14, 170);
    context.fillStyle = pictureColor("for");
    context.fillText(above, 180, y + 14, 170);
    context.fillStyle = themeColor("dim");
    context.fillText(scale, 360, y + 14);
    return y + LINE;
  }
  for (let x = 0; x < 96; x++) {
    context.fillStyle = app.colors.color(x / 95);
    context.fillRect(14 + x, y + 6, 1.5, 8);
  }
  context.fillStyle = themeColor("dim");
  context.fillText("0", 0, y + 14);
  context.fillText(scale, 118, y + 14);
  return y + LINE;
}

function drawToken(context, app, view, name, weight, share, y) {
  context.fillStyle = themeColor("text");
  context.fillText(name, 0, y + 14, 170);
  context.fillStyle = barColor(app.colors, view, share);
  if (view.signed) context.fillRect(270, y + 6, 90 * share, 8);
  else context.fillRect(180, y + 6, 180 * share, 8);
  context.fillStyle = themeColor("dim");
  context.fillText(view.format(weight, 3), 372, y + 14);
  return y + LINE;
}
