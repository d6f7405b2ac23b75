// A picture of one step with the attention on it, on any canvas.

import { barColor, barShare } from "./bars.js";
import { display, pictureColor } from "./display.js";
import { drawEntities, strokeBox } from "./entities.js";
import { drawTruth } from "./ground_truth.js";
import { computeHeat, heatTop } from "./heat.js";
import { largest, sum } from "./numbers.js";
import { partTokens, scaleBox } from "./token_parts.js";

/** Draw the picture of a step on any canvas; return its lift, its scale, the share of weight on it.
 * `labeled` is false where there is no room for names, nor for dashes. */
export function drawFrame(context, app, pane, t, view, size, canvas, labeled = true) {
  const { episode } = pane,
    factor = size[0] / episode.layout.size[1],
    picture = app.pictures.get(episode.picture(t));
  context.fillStyle = "rgb(0 0 0)";
  context.fillRect(0, 0, ...size);
  if (picture) enlarge(context, picture, size, canvas.width);
  const heat = { lift: null, scale: "", share: 0, top: 0 };
  if (view && view.signed && episode.layout.placed.length) fadeColors(context, size);
  if (view && view.facts.drawable && episode.layout.placed.length)
    drawAttention(context, app, pane, t, view, size, canvas, labeled, heat);
  if (labeled) drawTruth(context, pane, t, (i) => scaleBox(episode.box(t, i), factor));
  return heat;
}

/** Take most colors out of what is drawn, so that they are not taken for evidence. */
export function fadeColors(context, size) {
  context.save();
  context.globalCompositeOperation = "saturation";
  context.fillStyle = `rgb(128 128 128 / ${1 - display.kept_color})`;
  context.fillRect(0, 0, ...size);
  context.restore();
}

/** Draw heat, entities and the chosen token; note in `heat` what was heat. */
function drawAttention(context, app, pane, t, view, size, canvas, labeled, heat) {
  const { episode } = pane,
    factor = size[0] / episode.layout.size[1],
    weights = view.weights(t),
    boxes = Array.from(weights, (_, i) => episode.box(t, i));
  const sizes = weights.map(Math.abs),
    total = Math.max(sum(sizes), 1e-9);
  heat.share = sum(sizes.map((size, i) => (boxes[i] ? size : 0))) / total;
  drawHeat(context, app, episode, view, t, boxes, canvas, heat);
  const placed = boxes.map((box) => scaleBox(box, factor));
  for (const p of episode.layout.placed)
    drawPart(context, app, episode, p, t, view, placed, size, labeled);
  const chosen = episode.find(t, pane.selected);
  if (chosen >= 0 && placed[chosen]) {
    if (pane.hidden(t)) drawHidden(context, placed[chosen]);
    drawChosen(context, placed[chosen]);
  }
}

/** Draw a picture scaled, with its pixels kept sharp where it grows. */
function enlarge(context, picture, size, across) {
  const scale = Math.ceil(across / picture.width);
  context.imageSmoothingQuality = "high";
  if (scale < 2) return context.drawImage(picture, 0, 0, ...size);
  const sharp = document.createElement("canvas");
  [sharp.width, sharp.height] = [picture.width * scale, picture.height * scale];
  const sharpContext = sharp.getContext("2d");
  sharpContext.imageSmoothingEnabled = false;
  sharpContext.drawImage(picture, 0, 0, sharp.width, sharp.height);
  context.drawImage(sharp, 0, 0, ...size);
}

/** Mix in the heat of all tokens on the picture but entities, pixel by pixel of the canvas. */
function drawHeat(context, app, episode, view, t, boxes, canvas, heat) {
  if (!episode.layout.placed.some((p) => episode.parts[p].kind !== "entities")) return;
  const factor = canvas.width / episode.layout.size[1];
  const heated = boxes.map((box, i) => {
    return episode.parts[episode.partOf[i]].kind === "entities" ? null : scaleBox(box, factor);
  });
  const { signed } = view,
    even = signed ? 1 : view.even(t);
  heat.lift = computeHeat(view.weights(t), heated, even, canvas.width, canvas.height, signed);
  if (signed) {
    heat.top = view.scale.picture;
    heat.scale = `full color: ±${Number(heat.top.toPrecision(2))}`;
    app.colors.paint(context, heat.lift, heat.top, app.settings.opacity, true);
    return;
  }
  heat.top = heatTop(app.settings.scale, heat.lift);
  const most = largest(heat.lift);
  heat.scale = most > 0 ? `${heat.top.toFixed(1)} x an even spread` : "no attention";
  if (most > heat.top) heat.scale = `${heat.top.toFixed(1)} x an even spread or more`;
  app.colors.paint(context, heat.lift, heat.top, app.settings.opacity);
}

/** Draw what is not heat: entities, and which tokens a hard choice read. */
function drawPart(context, app, episode, p, t, view, boxes, size, labeled) {
  const part = episode.parts[p],
    weights = view.weights(t);
  const tokens = partTokens(part);
  if (part.kind !== "entities") {
    if (view.chooses)
      tokens.filter((i) => weights[i] > 0 && boxes[i]).forEach((i) => drawRead(context, boxes[i]));
    return;
  }
  const entities = tokens.map((i) => ({
    token: i,
    box: boxes[i],
    weight: weights[i],
    text: view.format(weights[i]),
    name: episode.name(t, i),
  }));
  const opacity = Math.min(1, app.settings.opacity / display.max_heat_opacity);
  const top = view.top(weights.subarray(part.start, part.start + part.count)),
    paint = { top, share: (weight) => barShare(view, weight, top) };
  paint.color = (share, alpha) => barColor(app.colors, view, share, alpha);
  drawEntities(context, paint, entities, view.queryToken(part), opacity, size, labeled);
}

function drawRead(context, box) {
  context.strokeStyle = "rgb(255 255 255 / 0.75)";
  context.lineWidth = 1;
  strokeBox(context, box, -1);
}

/** Strike a token out: the policy is run without it. */
function drawHidden(context, [x0, y0, x1, y1]) {
  context.save();
  context.beginPath();
  context.rect(x0, y0, x1 - x0, y1 - y0);
  context.clip();
  context.fillStyle = pictureColor("background", 0.7);
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.strokeStyle = pictureColor("chosen", 0.6);
  context.lineWidth = 1.5;
  const tall = y1 - y0;
  for (let x = x0 - tall; x < x1; x += 8) {
    context.beginPath();
    context.moveTo(x, y1);
    context.lineTo(x + tall, y0);
    context.stroke();
  }
  context.restore();
}

function drawChosen(context, box) {
  context.lineWidth = 4;
  context.strokeStyle = pictureColor("background", 0.8);
  strokeBox(context, box, 0);
  context.lineWidth = 2;
  context.strokeStyle = pictureColor("chosen");
  strokeBox(context, box, 0);
}
