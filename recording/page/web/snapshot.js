// The current picture as a PNG, with what belongs to it in words.

const PICTURE = [960, 640]; // room, in pixels
const LISTED = 5;
const LINE = 20;

/** Draw what the page shows: the pictures side by side, each with its caption. */
function snapshot(app) {
  const cards = app.sides.map((side) => card(app, side)),
    gap = 24;
  const canvas = document.createElement("canvas");
  canvas.width = cards.reduce((width, one) => width + one.width + gap, gap);
  canvas.height = Math.max(...cards.map((one) => one.height)) + 2 * gap;
  const context = canvas.getContext("2d");
  context.fillStyle = ink("page");
  context.fillRect(0, 0, canvas.width, canvas.height);
  let left = gap;
  for (const one of cards) {
    context.drawImage(one, left, gap);
    left += one.width + gap;
  }
  return canvas;
}

/** Draw one side: its picture, and under it which map is shown and what was most attended. */
function card(app, side) {
  const { episode } = side,
    t = side.t,
    within = Math.min(t, episode.steps - 1);
  const look = t < episode.steps && side.at(within).known(within) ? side.at(t) : null,
    lines = caption(side, t, look);
  const best = look && look.facts.drawable ? ranked(look.weights(t)).slice(0, LISTED) : [];
  const picture = pictured(app, side, t, look);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(480, picture ? picture.canvas.width : 0);
  const top = picture ? picture.canvas.height + 12 : 0;
  canvas.height =
    top + LINE * (lines.length + best.length + (picture && picture.drawn.lift ? 1 : 0)) + 8;
  const context = canvas.getContext("2d");
  if (picture) context.drawImage(picture.canvas, 0, 0);
  let y = write(context, lines, top, canvas.width);
  if (picture && picture.drawn.lift) y = scaleLine(context, app, picture.drawn.scale, y);
  for (const [i, weight] of best)
    y = tokenLine(context, app, episode.name(t, i), weight, weight / (best[0][1] || 1), y);
  return canvas;
}

function pictured(app, side, t, look) {
  const size = side.episode.plan.size;
  if (size === null) return null;
  const fit = Math.min(PICTURE[0] / size[1], PICTURE[1] / size[0]),
    factor = fit >= 1 ? Math.floor(fit) : fit;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(size[1] * factor), Math.round(size[0] * factor)];
  const drawn = drawStage(
    canvas.getContext("2d"),
    app,
    side,
    t,
    look,
    [canvas.width, canvas.height],
    canvas,
  );
  return { canvas, drawn };
}

function caption(side, t, look) {
  const { episode } = side,
    { recording } = episode,
    said = t < episode.steps,
    truth = truthWords(side, t);
  return [
    `${recording.env_id}  ${recording.algo.toUpperCase()}`,
    side.subtitle(),
    truth && `dashed: ${truth}`,
    said ? `action: ${episode.actionText(t)}, reward ${number(episode.arrays.reward[t])}` : "",
    ...(look ? [...look.lines(t), ...look.notes(t), look.spread(t)] : []),
    look && pointingWords(side, t, look),
  ].filter(Boolean);
}

function write(context, lines, top, width) {
  lines.forEach((line, n) => {
    context.font = `${n ? "" : "600 "}14px system-ui, sans-serif`;
    context.fillStyle = ink(n ? "dim" : "text");
    context.fillText(line, 0, top + LINE * n + 14, width);
  });
  return top + LINE * lines.length;
}

function scaleLine(context, app, scale, y) {
  for (let x = 0; x < 96; x++) {
    context.fillStyle = app.colours.colour(x / 95);
    context.fillRect(14 + x, y + 6, 1.5, 8);
  }
  context.fillStyle = ink("dim");
  context.fillText("0", 0, y + 14);
  context.fillText(scale, 118, y + 14);
  return y + LINE;
}

function tokenLine(context, app, name, weight, share, y) {
  context.fillStyle = ink("text");
  context.fillText(name, 0, y + 14, 170);
  context.fillStyle = app.colours.bar(share);
  context.fillRect(180, y + 6, 180 * share, 8);
  context.fillStyle = ink("dim");
  context.fillText(weight.toFixed(3), 372, y + 14);
  return y + LINE;
}
