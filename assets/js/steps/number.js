/**
 * Numbers on the page: how they are written, and which of a long row are shown first.
 */

/** The decimals a reader can choose. */
export const DIGITS = [2, 3, 4, 5, 6];

/**
 * A number with a fixed count of decimals and a true minus sign.
 * @param {number | null} x null in JSON, which has no NaN
 * @param {number} digits
 */
export function written(x, digits) {
  if (x === -Infinity) return "−∞";
  if (x === Infinity) return "∞";
  if (x === null || x !== x) return "not a number";
  return x.toFixed(digits).replace("-", "−");
}

/**
 * The positions of the n largest magnitudes, in order of position.
 *
 * @param {ArrayLike<number>} values @param {number} n
 * @returns {number[]}
 */
export function largest(values, n) {
  const order = Array.from({ length: values.length }, (_, i) => i);
  if (n >= order.length) return order;
  order.sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
  return order.slice(0, n).sort((a, b) => a - b);
}

/**
 * The keys that are shown: all of a few, of many those with the largest weights, in order of the text.
 *
 * @param {ArrayLike<number>} order  keys by falling weight
 * @param {number} n                 how many of them
 * @param {(number | null)[]} also   shown in any case
 */
export function keysShown(order, n, also = []) {
  const chosen = new Set(Array.from(order).slice(0, n));
  for (const key of also) if (key !== null && key >= 0 && key < order.length) chosen.add(key);
  return [...chosen].sort((a, b) => a - b);
}

/**
 * What a check says: how far off, what is allowed, and where it is farthest off.
 *
 * @param {{name: string, difference: number | null, tolerance: number, holds: boolean, reason: string}} check
 *   difference: null where a side is not a number, as JSON has no NaN
 * @param {{where: string, ours: number | null, models: number | null} | undefined} fault
 */
export function checkText(check, fault) {
  const off =
    check.difference === null
      ? "is not a number"
      : `differs by ${short(check.difference)}, tolerance ${short(check.tolerance)}`;
  if (check.holds) return `✓ ${check.name}: ${off} (${check.reason})`;
  const numbers = fault
    ? `: ${fault.ours ?? "not a number"} here, ${fault.models ?? "not a number"} in the model (${fault.where})`
    : "";
  return `✗ ${check.name} ${off}${numbers}`;
}

/** @param {number} x */
function short(x) {
  return x === 0 ? "0" : x.toExponential(1).replace("e+", "e").replace(".0e", "e");
}
