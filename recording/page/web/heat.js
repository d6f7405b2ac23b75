// Attention as heat on a picture: how many times more than an even spread a pixel gets. The rule is
// that of recording/rendering/heat.py; a test compares the two.

const LOWEST_TOP = 3;
const MOST_OPAQUE = 0.68;
const SEEN = 1e-9; // what rounding leaves where no token sees the picture is far below it

/** Return the lift of every pixel, (height * width); boxes are in pixels, null is left out. */
function heatOf(weights, boxes, even, width, height) {
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
      const seen = evenly[y * stride + x] * even;
      if (evenly[y * stride + x] > SEEN && even > 0)
        lift[y * width + x] = Math.max(0, density[y * stride + x] / seen);
    }
  }
  return lift;
}

/** Mark the corners of a box, so that `integrate` fills it. */
function addBox(field, box, value, width, height) {
  const pixel = (at, size) => clamp(Math.ceil(at - 0.5), 0, size),
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

/** Return the largest number; 0 where there is none above. */
function largest(values) {
  let top = 0;
  for (const value of values) if (value > top) top = value;
  return top;
}

/** The colours of heat, and how opaque they are. */
class HeatColours {
  /** `table` is (256, 3), dark to bright. */
  constructor(table) {
    this.table = table;
    this.pane = document.createElement("canvas");
  }

  /** Return the colour of a share (0 to 1) of the largest, as CSS. */
  colour(share, alpha = 1) {
    const at = 3 * Math.round(255 * clamp(share, 0, 1));
    return `rgb(${this.table[at]} ${this.table[at + 1]} ${this.table[at + 2]} / ${alpha})`;
  }

  /** Return the colour of a bar or a line: never too dark to see. */
  bar(share, alpha = 1) {
    return this.colour(0.35 + 0.65 * share, alpha);
  }

  /** Mix heat into a picture. `top` is the lift of the hottest colour, `most` the opacity there. */
  paint(context, lift, width, height, top, most) {
    const mixed = new Uint32Array(256),
      bytes = new Uint8ClampedArray(mixed.buffer);
    for (let i = 0; i < 256; i++) {
      bytes.set(this.table.subarray(3 * i, 3 * i + 3), 4 * i);
      bytes[4 * i + 3] = Math.round(255 * most * (i / 255) ** 0.75);
    }
    const image = new ImageData(width, height),
      pixels = new Uint32Array(image.data.buffer);
    const scale = 255 / top;
    for (let i = 0; i < pixels.length; i++)
      pixels[i] = mixed[Math.min(255, Math.round(lift[i] * scale))];
    this.pane.width = width;
    this.pane.height = height;
    this.pane.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(this.pane, 0, 0, width, height);
  }

  /** Draw the scale from none to hottest, as it looks over nothing. */
  ramp(canvas) {
    const context = pen(canvas, 96, 8);
    for (let x = 0; x < 96; x++) {
      context.fillStyle = this.colour(x / 95);
      context.fillRect(x, 0, 1.5, 8);
    }
  }
}
