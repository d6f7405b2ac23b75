// Attention to objects: a box round each entity, a line to it from the query entity, and its name.

import { display, pictureColor } from "./display.js";
import { clamp } from "./numbers.js";

/** Draw the entities of a part. Boxes are in pixels of the picture, null where there is none.
 * `paint` gives the share and the color of a weight. */
export function drawEntities(context, paint, entities, query, opacity, size, labeled) {
  const placed = entities
    .filter((entity) => entity.box !== null)
    .map((entity) => ({ ...entity, share: paint.share(entity.weight) }))
    .sort((a, b) => Math.abs(a.share) - Math.abs(b.share));
  const ego = placed.find((entity) => entity.token === query);
  context.save();
  context.globalAlpha = opacity;
  for (const entity of placed) {
    if (ego && entity !== ego) drawLine(context, paint, ego.box, entity.box, entity.share);
  }
  for (const entity of placed) drawOutline(context, paint, entity, entity === ego);
  context.restore();
  if (!labeled) return;
  const occupied = placed.map((entity) => entity.box);
  for (const entity of placed.reverse()) {
    if (Math.abs(entity.share) >= display.min_label_share)
      drawName(context, entity, occupied, size);
  }
}

function drawLine(context, paint, from, to, share) {
  context.strokeStyle = paint.color(share, (60 + 195 * share) / 255);
  context.lineWidth = 1 + 4 * share;
  context.beginPath();
  context.moveTo((from[0] + from[2]) / 2, (from[1] + from[3]) / 2);
  context.lineTo((to[0] + to[2]) / 2, (to[1] + to[3]) / 2);
  context.stroke();
}

function drawOutline(context, paint, entity, isQuery) {
  const size = Math.max(Math.abs(entity.share), 0.25),
    share = entity.share < 0 ? -size : size,
    width = 1.5 + 1.5 * Math.abs(entity.share);
  context.strokeStyle = isQuery
    ? pictureColor("text")
    : paint.color(share, (60 + 195 * size) / 255);
  context.lineWidth = width;
  strokeBox(context, entity.box, width / 2);
}

/** Draw a box a little outside of its place. */
export function strokeBox(context, [x0, y0, x1, y1], away) {
  context.strokeRect(x0 - away, y0 - away, x1 - x0 + 2 * away, y1 - y0 + 2 * away);
}

/** Write a name where it covers no entity and no other name; nowhere if there is no such place. */
function drawName(context, entity, occupied, [across, down]) {
  context.font = "12px system-ui, sans-serif";
  const [x0, y0, x1, y1] = entity.box,
    text = `${entity.name}  ${entity.text}`;
  const width = context.measureText(text).width + 10,
    height = 17;
  const left = clamp((x0 + x1 - width) / 2, 0, Math.max(0, across - width));
  const spots = [
    [left, y0 - height - 5],
    [left, y1 + 5],
    [x1 + 5, (y0 + y1 - height) / 2],
    [x0 - width - 5, (y0 + y1 - height) / 2],
  ];
  for (const [x, y] of spots) {
    const spot = [x, y, x + width, y + height];
    const inside = x >= 0 && y >= 0 && spot[2] <= across && spot[3] <= down;
    if (!inside || occupied.some((other) => overlap(spot, other))) continue;
    occupied.push(spot);
    context.fillStyle = pictureColor("background", 0.86);
    context.beginPath();
    context.roundRect(x, y, width, height, 4);
    context.fill();
    context.fillStyle = pictureColor("text");
    context.textBaseline = "middle";
    context.fillText(text, x + 5, y + height / 2 + 0.5);
    return;
  }
}

function overlap(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
