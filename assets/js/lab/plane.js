/**
 * The picture in the plane: queries and keys as arrows, one dot product as a projection.
 *
 * @typedef {{x: number, y: number}} Point
 */

/**
 * The pair to show first: the longest query, and the key that it scores highest.
 *
 * @param {{length: number}[]} queries @param {number[][]} dots
 */
export function foremostPair(queries, dots) {
  let query = 0;
  queries.forEach((one, i) => {
    if (one.length > queries[query].length + 1e-9) query = i;
  });
  let key = 0;
  dots[query].forEach((dot, j) => {
    if (dot > dots[query][key] + 1e-9) key = j;
  });
  return { query, key };
}

/** Half of the picture's side, in its own units. */
export const HALF = 150;
/** Room for labels at the edge. */
const EDGE = 22;

/**
 * Units of the picture for one unit of the plane, so that the longest arrow just fits; and the distance of grid lines.
 *
 * @param {Point[]} points
 */
export function scaleOf(points) {
  const longest = Math.max(...points.map(({ x, y }) => Math.max(Math.abs(x), Math.abs(y))), 1e-9);
  const scale = (HALF - EDGE) / longest;
  const rough = longest / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  const grid = [1, 2, 5, 10].map((m) => m * power).reduce((best, one) => (one <= rough ? one : best), power);
  return { scale, grid };
}

/** Length, in the plane's units. @param {Point} a */
export function length(a) {
  return Math.hypot(a.x, a.y);
}

/**
 * The foot of the perpendicular from a key on the query's line. At the origin if the query has no length.
 *
 * @param {Point} query @param {Point} key
 * @returns {Point}
 */
export function foot(query, key) {
  const square = query.x ** 2 + query.y ** 2;
  if (square === 0) return { x: 0, y: 0 };
  const share = (query.x * key.x + query.y * key.y) / square;
  return { x: query.x * share, y: query.y * share };
}

/**
 * Where labels go: at the tip, a little outwards; those that would lie on another are moved down.
 * @param {{x: number, y: number}[]} tips in the picture's units, y down
 * @param {number} high of a line
 */
export function labelPlaces(tips, high = 17) {
  /** @type {{x: number, y: number, anchor: "start" | "end"}[]} */
  const placed = [];
  for (const tip of tips) {
    const far = Math.abs(tip.x) > HALF * 0.4; // near the edge a label stands over its arrow
    const anchor = tip.x >= 0 === far ? "end" : "start";
    const x = far ? Math.min(Math.max(tip.x, 4 - HALF), HALF - 4) : tip.x + (tip.x >= 0 ? 6 : -6);
    const wished = far ? tip.y + (tip.y > 0 ? 18 : -8) : tip.y + (tip.y > 0 ? 12 : -4);
    let y = Math.min(Math.max(wished, high - HALF), HALF - 5);
    const way = y < high * 3 - HALF || (tip.y > 0 && y < HALF - high * 3) ? 1 : -1;
    for (
      let tries = 0;
      tries < 16 && placed.some((one) => Math.abs(one.y - y) < high && Math.abs(one.x - x) < 52);
      tries++
    )
      y += way * high * 0.5;
    placed.push({ x, y, anchor });
  }
  return placed;
}
