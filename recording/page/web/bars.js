// Bars of attention weights, which grow from the left, and of evidence, which grow from the middle.

import { display, pictureColor } from "./display.js";
import { clamp } from "./numbers.js";

/** Return how far a number fills a bar, -1 to 1. */
export function barShare(view, weight, top) {
  return view.signed ? clamp(weight / top, -1, 1) : weight / top;
}

/** Return the color of a bar or a line, as CSS: by its sign, or by its size. */
export function barColor(colors, view, share, alpha = 1) {
  if (!view.signed) return colors.bar(share, alpha);
  return pictureColor(share > 0 ? "for" : "against", alpha);
}

/** Fill a horizontal bar of the page. */
export function fillBar(colors, view, track, filled, share) {
  const size = clamp(Math.abs(share), 0, 1);
  track.classList.toggle("signed", view.signed);
  filled.style.left = view.signed ? `${share < 0 ? 50 - 50 * size : 50}%` : "0";
  filled.style.width = `${(view.signed ? 50 : 100) * size}%`;
  filled.style.background = barColor(colors, view, share);
}

/** Return the opacity of evidence where that of attention is `opacity`. */
export function evidenceOpacity(opacity) {
  return Math.min(1, (opacity * display.max_evidence_opacity) / display.max_heat_opacity);
}
