// Attention as heat on a picture: how many times more than an even spread a pixel gets. The rule is
// that of recording/rendering/heat.py; a test compares the two.

import { evidenceOpacity } from "./bars.js";
import { display, pictureColor } from "./display.js";
import { fitCanvas } from "./dom.js";
import { clamp, largest } from "./numbers.js";

const MIN_DENSITY = 1e-9; // rounding leaves far less where no token sees the picture

/** Return the lift of every pixel, (height * width); boxes are in pixels, null is left out. With
 * `signed` it may be below 0: of evidence and `even` 1 it is the mean of the tokens that see a
 * pixel, see recording/rendering/signed_heat.py. */
export function computeHeat(weights, boxes, even, width, height, signed = false) {
  const density = new Float64Array((width + 1) * (height + 1)),
    evenly = density.slice();
  boxes.forEach((box, i) => {
    if (box === null) return;
    const area = Math.max((box[2] - box[0]) * (box[3] - box[1]), 1e-9);
    addBox(density, box, weights[i] / area, width, height);
    addBox(evenly, box, 1 / area, width, height);
  });
  integrate(density, width, height);
  integrate(evenly, width, height);
  const lift = new Float32Array(width * height),
    stride = width + 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const expected = evenly[y * stride + x] * even;
      if (evenly[y * stride + x] <= MIN_DENSITY || even <= 0) continue;
      const value = density[y * stride + x] / expected;
      lift[y * width + x] = signed ? value : Math.max(0, value);
    }
  }
  return lift;
}

/** Mark the corners of a box, so that `integrate` fills it. */
function addBox(field, box, value, width, height) {
  const pixel = (edge, size) => clamp(Math.ceil(edge - 0.5), 0, size),
    stride = width + 1;
  const [x0, x1] = [pixel(box[0], width), pixel(box[2], width)];
  const [y0, y1] = [pixel(box[1], height), pixel(box[3], height)];
  field[y0 * stride + x0] += value;
  field[y0 * stride + x1] -= value;
  field[y1 * stride + x0] -= value;
  field[y1 * stride + x1] += value;
}

/** Turn marked corners into filled boxes. */
function integrate(field, width, height) {
  const stride = width + 1;
  for (let y = 0; y <= height; y++) {
    let along = 0;
    for (let x = 0; x <= width; x++) {
      along += field[y * stride + x];
      field[y * stride + x] = along + (y > 0 ? field[(y - 1) * stride + x] : 0);
    }
  }
}

/** Return the lift at which the scale ends: a fixed one, or the greatest of some lifts. */
export function heatTop(scale, ...lifts) {
  return scale || Math.max(display.min_heat_top, ...lifts.map(largest));
}

/** The colors of heat, and how opaque they are. */
export class HeatColors {
  /** `table` is (256, 3), dark to bright. */
  constructor(table) {
    this.table = table;
    this.buffer = document.createElement("canvas");
  }

  /** Return the color of a share (0 to 1) of the largest, as CSS. */
  color(share, alpha = 1) {
    const i = 3 * Math.round(255 * clamp(share, 0, 1));
    return `rgb(${this.table[i]} ${this.table[i + 1]} ${this.table[i + 2]} / ${alpha})`;
  }

  /** Return the color of a bar or a line: never too dark to see. */
  bar(share, alpha = 1) {
    const least = display.min_bar_shade;
    return this.color(least + (1 - least) * share, alpha);
  }

  /** Mix heat into a canvas, pixel by pixel. `top` is the lift of the hottest color, `opacity` the
   * opacity there; `signed` for evidence. */
  paint(context, lift, top, opacity, signed = false) {
    const { width, height } = context.canvas,
      image = new ImageData(width, height),
      pixels = new Uint32Array(image.data.buffer);
    const [above, below] = signed
      ? ["for", "against"].map((name) => hueTable(display.colors[name], evidenceOpacity(opacity)))
      : [this.heatTable(opacity), null];
    const scale = 255 / top;
    for (let i = 0; i < pixels.length; i++) {
      const level = Math.min(255, Math.round(Math.abs(lift[i]) * scale));
      pixels[i] = (lift[i] < 0 && below ? below : above)[level];
    }
    this.buffer.width = width;
    this.buffer.height = height;
    this.buffer.getContext("2d").putImageData(image, 0, 0);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.buffer, 0, 0, width, height);
    context.restore();
  }

  /** Return the colors of 256 levels of heat, with their opacity. */
  heatTable(opacity) {
    return colorTable((i, bytes) => {
      bytes.set(this.table.subarray(3 * i, 3 * i + 3), 4 * i);
      return opacity * (i / 255) ** display.heat_opacity_power;
    });
  }

  /** Draw the scale from none to hottest, as it looks over nothing; of evidence from what speaks
   * against to what speaks for. */
  drawRamp(canvas, signed = false) {
    const context = fitCanvas(canvas, 96, 8);
    if (signed) {
      for (let x = 0; x < 96; x++) {
        const share = (x - 47.5) / 47.5,
          opacity = Math.abs(share) ** display.evidence_opacity_power;
        context.fillStyle = pictureColor(share > 0 ? "for" : "against", opacity);
        context.fillRect(x, 0, 1, 8);
      }
      return;
    }
    for (let x = 0; x < 96; x++) {
      context.fillStyle = this.color(x / 95);
      context.fillRect(x, 0, 1.5, 8);
    }
  }
}

/** Return 256 colors as numbers of 4 bytes; `fill` writes three of them and returns the opacity. */
function colorTable(fill) {
  const colors = new Uint32Array(256),
    bytes = new Uint8ClampedArray(colors.buffer);
  for (let i = 0; i < 256; i++) bytes[4 * i + 3] = Math.round(255 * fill(i, bytes));
  return colors;
}

/** Return the colors of 256 levels of one hue: nothing at 0. */
function hueTable(color, opacity) {
  return colorTable((i, bytes) => {
    bytes.set(color, 4 * i);
    return opacity * (i / 255) ** display.evidence_opacity_power;
  });
}
