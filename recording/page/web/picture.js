// A picture of one step with the attention on it, on any canvas.

/** Draw a stage on any canvas; return what was drawn: its lift, its scale, the share on it.
 * `named` is false where there is no room for names, nor for dashes. */
function drawStage(context, app, side, t, look, size, canvas, named = true) {
  const { episode } = side,
    factor = size[0] / episode.plan.size[1],
    picture = app.pictures.get(episode.stagePicture(t));
  context.fillStyle = "rgb(0 0 0)";
  context.fillRect(0, 0, ...size);
  if (picture) enlarge(context, picture, size, canvas.width);
  const drawn = { lift: null, scale: "", share: 0, top: 0 };
  if (look && look.facts.drawable && episode.plan.stage.length)
    drawAttention(context, app, side, t, look, size, canvas, named, drawn);
  if (named) drawTruth(context, side, t, (i) => scaled(episode.box(t, i), factor, 0));
  return drawn;
}

/** Draw heat, entities and the chosen token; note in `drawn` what was drawn. */
function drawAttention(context, app, side, t, look, size, canvas, named, drawn) {
  const { episode } = side,
    factor = size[0] / episode.plan.size[1],
    weights = look.weights(t),
    boxes = Array.from(weights, (_, i) => episode.box(t, i));
  const total = Math.max(sum(weights), 1e-9);
  drawn.share = sum(weights.map((weight, i) => (boxes[i] ? weight : 0))) / total;
  drawHeat(context, app, episode, weights, boxes, look.even(t), canvas, drawn);
  const placed = boxes.map((box) => scaled(box, factor, 0));
  for (const p of episode.plan.stage)
    drawPart(context, app, episode, p, t, look, placed, size, named);
  const chosen = episode.find(t, side.selected);
  if (chosen >= 0 && placed[chosen]) {
    if (side.hidden(t)) drawHidden(context, placed[chosen]);
    drawChosen(context, placed[chosen]);
  }
}

/** Draw a picture scaled, with its pixels kept sharp where it grows. */
function enlarge(context, picture, size, across) {
  const whole = Math.ceil(across / picture.width);
  context.imageSmoothingQuality = "high";
  if (whole < 2) return context.drawImage(picture, 0, 0, ...size);
  const sharp = document.createElement("canvas");
  [sharp.width, sharp.height] = [picture.width * whole, picture.height * whole];
  const own = sharp.getContext("2d");
  own.imageSmoothingEnabled = false;
  own.drawImage(picture, 0, 0, sharp.width, sharp.height);
  context.drawImage(sharp, 0, 0, ...size);
}

/** Mix in the heat of all tokens on the stage but entities, pixel by pixel of the canvas. */
function drawHeat(context, app, episode, weights, boxes, even, canvas, drawn) {
  const spread = (i) => episode.parts[episode.partOf[i]].kind !== "entities";
  const own = boxes.map((box, i) => (box && spread(i) ? box : null));
  if (!episode.plan.stage.some((p) => episode.parts[p].kind !== "entities")) return;
  const factor = canvas.width / episode.plan.size[1];
  const large = own.map((box) => box && box.map((at) => at * factor));
  drawn.lift = heatOf(weights, large, even, canvas.width, canvas.height);
  const most = largest(drawn.lift);
  drawn.top = app.settings.scale || Math.max(most, LOWEST_TOP);
  drawn.scale = most > 0 ? `${drawn.top.toFixed(1)} x an even spread` : "no attention";
  if (most > drawn.top) drawn.scale = `${drawn.top.toFixed(1)} x an even spread or more`;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  app.colours.paint(
    context,
    drawn.lift,
    canvas.width,
    canvas.height,
    drawn.top,
    app.settings.opacity,
  );
  context.restore();
}

/** Draw what is not heat: entities, and which tokens a hard choice read. */
function drawPart(context, app, episode, p, t, look, boxes, size, named) {
  const part = episode.parts[p],
    weights = look.weights(t);
  const tokens = part.names.map((_, within) => part.start + within);
  if (part.kind !== "entities") {
    if (look.chooses)
      tokens.filter((i) => weights[i] > 0 && boxes[i]).forEach((i) => drawRead(context, boxes[i]));
    return;
  }
  const entities = tokens.map((i) => ({
    token: i,
    box: boxes[i],
    weight: weights[i],
    said: look.said(weights[i]),
    name: episode.name(t, i),
  }));
  const opacity = Math.min(1, app.settings.opacity / MOST_OPAQUE);
  drawEntities(context, app.colours, entities, look.asker(part), opacity, size, named);
}

function drawRead(context, box) {
  context.strokeStyle = "rgb(255 255 255 / 0.75)";
  context.lineWidth = 1;
  strokeBox(context, box, -1);
}

/** Strike a token out: the policy is asked without it. */
function drawHidden(context, [x0, y0, x1, y1]) {
  context.save();
  context.beginPath();
  context.rect(x0, y0, x1 - x0, y1 - y0);
  context.clip();
  context.fillStyle = "rgb(18 20 24 / 0.7)";
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.strokeStyle = "rgb(86 204 196 / 0.6)";
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
  context.strokeStyle = "rgb(18 20 24 / 0.8)";
  strokeBox(context, box, 0);
  context.lineWidth = 2;
  context.strokeStyle = "rgb(86 204 196)";
  strokeBox(context, box, 0);
}

/** Return pairs of place and value, the largest first; equal ones stay in their order. */
function ranked(values) {
  return Array.from(values, (value, i) => [i, value]).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}
