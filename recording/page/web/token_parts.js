// The tokens of one part among all.

/** Return the numbers of the tokens of a part. */
export function partTokens({ start, count }) {
  return Array.from({ length: count }, (_, i) => start + i);
}

/** Return the weights of the tokens of a part. */
export function partWeights(weights, { start, count }) {
  return weights.subarray(start, start + count);
}

/** Return a box in other pixels; null stays null. */
export function scaleBox(box, factor) {
  return box && box.map((edge) => edge * factor);
}
