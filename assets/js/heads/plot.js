/**
 * Geometry of the scatter: where a point lies, which one is under the pointer, which one comes next.
 *
 * @typedef {import("./data.js").Range} Range
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 * @typedef {{i: number, x: number, y: number}} Point
 */
import { share } from "./data.js";

/** A point is hit from this far away, CSS pixels: more than its own radius, so that a finger finds it. */
export const NEAR = 14;

/**
 * The plot inside a canvas, with room for tick labels and names.
 *
 * @param {number} width @param {number} size  of the type @returns {{width: number, height: number, box: Box}}
 */
export function plotGeometry(width, size) {
  const left = Math.round(size * 3.6);
  const right = Math.round(size * 1.2);
  const top = Math.round(size * 2.3);
  const bottom = Math.round(size * 3.4);
  const w = Math.max(width - left - right, 80);
  const h = Math.round(Math.min(Math.max(w * 0.72, 150), size * 19));
  return { width, height: top + h + bottom, box: { x: left, y: top, w, h } };
}

/**
 * Points of the heads that have both numbers.
 *
 * @param {number[]} which @param {(i: number) => number} xOf @param {(i: number) => number} yOf @param {Range} xRange @param {Range} yRange @param {Box} box
 * @returns {Point[]}
 */
export function points(which, xOf, yOf, xRange, yRange, box) {
  /** @type {Point[]} */
  const found = [];
  for (const i of which) {
    const [a, b] = [share(xRange, xOf(i)), share(yRange, yOf(i))];
    if (a === a && b === b) found.push({ i, x: box.x + a * box.w, y: box.y + (1 - b) * box.h });
  }
  return found;
}

/** The point nearest to (x, y), if it is near enough. @param {Point[]} all @param {number} x @param {number} y @param {number} [near] @returns {Point | null} */
export function hit(all, x, y, near = NEAR) {
  let best = null;
  let least = near * near;
  for (const point of all) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance > least) continue;
    least = distance;
    best = point;
  }
  return best;
}

/**
 * Where an arrow leads: the nearest point on that side, those in its direction first. Home and End: first and last head.
 *
 * @param {Point[]} all @param {Point | null} from @param {string} key  as in KeyboardEvent.key @returns {Point | null}
 */
export function step(all, from, key) {
  if (!all.length) return null;
  if (!from || key === "Home") return all[0];
  if (key === "End") return all[all.length - 1];
  const along = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (!along) return null;
  let best = null;
  let least = Infinity;
  for (const point of all) {
    if (point.i === from.i) continue;
    const ahead = (point.x - from.x) * along[0] + (point.y - from.y) * along[1];
    const aside = Math.abs((point.x - from.x) * along[1]) + Math.abs((point.y - from.y) * along[0]);
    if (ahead <= 0 || aside > 4 * ahead + 8) continue;
    const cost = ahead + 2 * aside;
    if (cost < least) [least, best] = [cost, point];
  }
  return best;
}

/** Even numbers for an axis: four to six, from a round step. @param {Range} range @returns {number[]} */
export function ticks({ low, high }) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const even =
    [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999) ?? rough;
  const found = [];
  for (let n = Math.ceil(low / even - 1e-9); n * even <= high + even * 1e-6; n++)
    found.push(Number((n * even).toPrecision(6)));
  return found;
}
