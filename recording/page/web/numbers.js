// Small sums over many numbers.

/** Return a value within bounds. */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Return the sum of numbers. */
export function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Return the largest number; 0 where there is none above. */
export function largest(values) {
  let top = 0;
  for (const value of values) if (value > top) top = value;
  return top;
}

/** Return the smallest and the largest of many numbers. */
export function valueRange(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Return the entropy of weights, as shares of their sum, in nats. */
export function entropy(weights) {
  const total = sum(weights);
  let nats = 0;
  for (const weight of weights) {
    if (weight > 0) nats -= (weight / total) * Math.log(weight / total);
  }
  return nats;
}

/** Return pairs of index and value, the largest first; equal ones stay in their order. */
export function rankWeights(values) {
  return Array.from(values, (value, i) => [i, value]).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

/** Return pairs of index and value, the largest magnitude first; equal ones stay in their order. */
export function rankSizes(values) {
  return rankWeights(Array.from(values, Math.abs)).map(([i]) => [i, values[i]]);
}

/** Return the value below which a share of values lies. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}
