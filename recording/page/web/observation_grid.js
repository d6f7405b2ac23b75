// Observed pictures beside the frame, with heat on them: the observation's own grid, past frames.

import { fadeColors } from "./attended_picture.js";
import { createElement, fitCanvas, setText } from "./dom.js";
import { drawTruth } from "./ground_truth.js";
import { Heading } from "./heading.js";
import { computeHeat, heatTop } from "./heat.js";
import { sum } from "./numbers.js";
import { partWeights, scaleBox } from "./token_parts.js";

const MAX_GRID_HEIGHT = 260;
const PAST_FRAME = [110, 140]; // most height and width

/** Return where the scale of a picture ends: of evidence that of the episode. */
function pictureTop(app, view, ...lifts) {
  return view.signed ? view.scale.picture : heatTop(app.settings.scale, ...lifts);
}

function topText(view, top) {
  return view.signed ? `to ±${Number(top.toPrecision(2))}` : `to ${top.toFixed(1)} x even`;
}

/** The observed picture of a part on a canvas of its own. */
class ObservedPicture {
  constructor(pane, p, attributes = {}) {
    this.pane = pane;
    this.p = p;
    this.part = pane.episode.parts[p];
    this.canvas = createElement("canvas", attributes);
  }

  /** Fit the canvas into so many pixels. */
  resize(maxWidth, maxHeight) {
    const [rows, cols] = this.part.picture;
    this.factor = Math.min(maxWidth / cols, maxHeight / rows);
    const [width, height] = [Math.round(cols * this.factor), Math.round(rows * this.factor)];
    this.context = fitCanvas(this.canvas, width, height);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.size = [width, height];
  }

  /** Return the lift of every pixel. */
  lift(t, view) {
    const { canvas } = this,
      ratio = canvas.width / this.part.picture[1],
      weights = view.weights(t),
      boxes = Array.from(weights, (_, i) => this.box(t, i, ratio)),
      even = view.signed ? 1 : view.even(t);
    return computeHeat(weights, boxes, even, canvas.width, canvas.height, view.signed);
  }

  /** Draw the picture, where it is visible, the heat on it, and what matters. */
  draw(t, view, lift, top, visible = true) {
    const { app, episode } = this.pane,
      picture = app.pictures.get(episode.observed(this.p, t));
    this.context.imageSmoothingEnabled = false;
    if (picture && visible) this.context.drawImage(picture, 0, 0, ...this.size);
    if (view.signed) fadeColors(this.context, this.size);
    app.colors.paint(this.context, lift, top, app.settings.opacity, view.signed);
    drawTruth(this.context, this.pane, t, (i) => this.box(t, i, this.factor));
  }

  box(t, i, factor) {
    return scaleBox(this.pane.episode.ownBox(this.p, t, i), factor);
  }
}

/** The observed picture of a part that has no place on the frame. */
export class PartGrid {
  constructor(pane, p) {
    this.pane = pane;
    this.part = pane.episode.parts[p];
    const label = `observed: ${this.part.title}`;
    this.picture = new ObservedPicture(pane, p, {
      class: "grid",
      role: "img",
      "aria-label": label,
    });
    this.heading = new Heading(this.part.title);
    this.element = createElement(
      "section",
      { class: "tokens" },
      this.heading.element,
      this.picture.canvas,
    );
  }

  draw(t, view) {
    this.picture.resize(Math.max(1, this.element.clientWidth), MAX_GRID_HEIGHT);
    const lift = this.picture.lift(t, view),
      top = pictureTop(this.pane.app, view, lift),
      total = sum(partWeights(view.weights(t), this.part));
    this.picture.draw(t, view, lift, top);
    setText(this.heading.note, `${view.describeSum(total)}, ${topText(view, top)}`);
  }
}

/** Past frames that were observed, side by side, each with its heat; one scale for all. */
export class PastFrames {
  constructor(pane, group) {
    this.pane = pane;
    this.group = group;
    this.frames = group.map((p) => new ObservedPicture(pane, p));
    const { key } = this.frames[0].part;
    this.heading = new Heading(key ? `memory: past frames of ${key}` : "memory: past frames");
    this.labels = group.map(() => createElement("figcaption", {}));
    const figures = this.frames.map(({ canvas }, n) =>
      createElement("figure", {}, canvas, this.labels[n]),
    );
    this.element = createElement(
      "section",
      { class: "memory" },
      this.heading.element,
      createElement("div", { class: "strip" }, ...figures),
    );
  }

  pictures(t) {
    return this.group.map((p) => this.pane.episode.observed(p, t));
  }

  draw(t, view) {
    const [maxHeight, maxWidth] = PAST_FRAME,
      weights = view.weights(t);
    for (const frame of this.frames) frame.resize(maxWidth, maxHeight);
    const lifts = this.frames.map((frame) => frame.lift(t, view)),
      top = pictureTop(this.pane.app, view, ...lifts),
      sums = this.frames.map(({ part }) => sum(partWeights(weights, part)));
    setText(this.heading.note, `${view.describeSum(sum(sums))}, ${topText(view, top)}`);
    this.frames.forEach((frame, n) => {
      const { offset, start } = frame.part,
        present = this.pane.episode.present(t, start);
      frame.draw(t, view, lifts[n], top, present);
      setText(this.labels[n], present ? `${offset}: ${view.format(sums[n])}` : String(offset));
    });
  }
}
