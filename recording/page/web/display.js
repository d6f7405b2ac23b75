// The constants of the display and its formats: they come with the recordings, see
// recording/scene/display.py, so that film, terminal and page show the same.

export const display = {};

/** Take the constants of a page. */
export function loadDisplay(constants) {
  Object.assign(display, constants);
}

/** Return a number in at most about eight characters: 0.0312, 17.2, -4120, 3.1e+07. */
export function formatNumber(value, digits = display.number.digits) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < display.number.large) return String(value);
  if (size >= display.number.large || size < display.number.small) return value.toExponential(1);
  const before = String(Math.trunc(size)).length;
  return value.toFixed(Math.max(0, digits - before + (before === 1 ? 1 : 0)));
}

/** Return the words for tokens or objects that there is no room for. */
export function formatRest(count, text) {
  return count === 1 ? `1 other, ${text}` : `${count} others, together ${text}`;
}

/** Return how far `offset` < 0 steps from the present are, "-1 step" or "-2 steps". */
export function formatOffset(offset) {
  return `${offset} ${offset === -1 ? "step" : "steps"}`;
}

/** Return how many steps apart labels of a width stand, so that they do not touch. */
export function labelInterval(room, labelWidth) {
  const intervals = display.offset_intervals;
  return intervals.find((n) => n * room >= labelWidth) ?? intervals[intervals.length - 1];
}

/** Return one of the fixed colors of pictures, as CSS. */
export function pictureColor(name, alpha = 1) {
  return `rgb(${display.colors[name].join(" ")} / ${alpha})`;
}
