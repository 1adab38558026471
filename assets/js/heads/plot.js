/**
 * The points of the scatter: which heads have one, which one is under the pointer, which one comes next.
 *
 * @typedef {{i: number, x: number, y: number}} Point  a head and its place, CSS pixels
 */
import { numbers } from "../base/figure.js";

/** A point is hit from this far away, CSS pixels: more than its own radius, so that a finger finds it. */
export const NEAR = 14;

/**
 * The heads that have both numbers, as plotly's traces: those with a label move from the first trace to the second.
 *
 * @param {import("../base/figure.js").Figure} figure  every head in the order of the model in the first trace
 * @param {number[]} which those that are shown @param {(i: number) => string} letter of a head's label, "" if it has
 *   none
 * @returns {{figure: import("../base/figure.js").Figure, numbers: {i: number, x: number, y: number}[]}} numbers: those
 *   of the points
 */
export function split(figure, which, letter) {
  const [plain, labelled] = figure.data;
  const [across, up] = [numbers(plain.x), numbers(plain.y)];
  const found = which
    .map((i) => ({ i, x: across[i], y: up[i] }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const [without, carrying] = [found.filter(({ i }) => !letter(i)), found.filter(({ i }) => letter(i))];
  const of = (/** @type {typeof found} */ some) => ({ x: some.map(({ x }) => x), y: some.map(({ y }) => y) });
  const data = [
    { ...plain, ...of(without) },
    { ...labelled, ...of(carrying), text: carrying.map(({ i }) => letter(i)) },
  ];
  return { figure: { ...figure, data }, numbers: found };
}

/**
 * The point nearest to (x, y), if it is near enough.
 * @param {Point[]} all
 * @param {number} x
 * @param {number} y
 * @param {number} [near]
 * @returns {Point | null}
 */
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
 * Where an arrow leads: the nearest point on that side, those in its direction first. Home and End: first and last
 * head.
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

/**
 * The letters of labelled heads, "" for those that would lie on one that is there already: a letter on a letter could
 * not be read, and the full square still says that there is a label.
 *
 * @param {{x: number, y: number, letter: string}[]} labelled  places in CSS pixels @param {number} size  of the type
 */
export function legible(labelled, size) {
  /** @type {{x: number, y: number}[]} */
  const written = [];
  return labelled.map(({ x, y, letter }) => {
    if (written.some((other) => Math.abs(other.x - x) < size && Math.abs(other.y - y) < size)) return "";
    written.push({ x, y });
    return letter;
  });
}
