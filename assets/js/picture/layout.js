/**
 * Geometry of the pictures of one head: where the plot lies, which labels fit, what is under a point, zoom and pan.
 *
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 * @typedef {{width: number, height: number, plot: Box, labelW: number, labelH: number, slant: number}} HeatmapGeometry
 * @typedef {{q0: number, k0: number, q: number, k: number}} View first row and column seen (may be fractions), rows and
 *   columns seen
 */

/** Key labels lean by this angle (radians) over their column. */
export const SLANT = Math.PI / 3;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
/** Fewer cells than this are never seen at once: closer would show nothing more. */
const FEWEST = 4;
/** A plot may be so much higher than it should be if all of its rows are named then. */
const TALLER = 1.35;

/**
 * Labels that would stand too close when they lean stand upright; and where all rows and columns can be named within
 * the width, the plot is as large as their names need, so that none is left out.
 *
 * @param {object} given
 * @param {number} given.width        of the container, CSS pixels
 * @param {number} given.maxHeight
 * @param {number} given.nQuery
 * @param {number} given.nKey
 * @param {number} given.queryLabel   width of the widest query label
 * @param {number} given.keyLabel     width of the widest key label
 * @param {number} [given.keyTail]   width of the widest label near the last column, which leans out of the plot
 * @param {number} [given.number] width of the largest number of a token, which stands before labels of which many are
 *   left out
 * @param {number} [given.names]     width of the longer of the axes' names
 * @param {number} given.size         of the type
 * @returns {HeatmapGeometry}
 */
export function heatmapGeometry(given) {
  const leaning = geometryAt(SLANT, given);
  if (leaning.plot.w / given.nKey >= closest(given.size)) return leaning;
  const upright = geometryAt(Math.PI / 2, given);
  return upright.plot.w / given.nKey >= closest(given.size) ? upright : leaning;
}

/**
 * How close the middles of two labels may stand, pixels: of small type, one line at the next.
 * @param {number} size of the type
 */
export function closest(size) {
  return size * (10.4 / 14);
}

/** @param {number} slant @param {Parameters<typeof heatmapGeometry>[0]} given @returns {HeatmapGeometry} */
function geometryAt(slant, given) {
  const {
    width,
    maxHeight,
    nQuery,
    nKey,
    queryLabel,
    keyLabel,
    keyTail = keyLabel,
    number = 0,
    names = 0,
    size,
  } = given;
  const title = Math.round(size * 1.6);
  const few = closest(size);
  // Numbers come before labels of which four in five are left out; they are never cut.
  const numbered = (/** @type {number} */ n, /** @type {number} */ room) => (n * few > 2 * room ? number : 0);
  const ofRow = numbered(nQuery, Math.max(maxHeight, width));
  const labelW = Math.max(Math.min(Math.ceil(queryLabel + ofRow), Math.round(width * 0.26)), Math.ceil(ofRow)) + 8;
  const longest = Math.min(Math.ceil(keyLabel + numbered(nKey, width)), Math.round(size * 7.5));
  const labelH = Math.ceil(longest * Math.sin(slant) + size * 0.6) + 6;
  const left = title + labelW;
  const top = title + labelH;
  const over = Math.min(Math.ceil(Math.min(keyTail, longest) * Math.cos(slant)), Math.round(width * 0.12));
  const w = Math.max(width - left - Math.max(over, 4), 40);
  const room = Math.max(maxHeight - top - 4, 40);
  const cell = Math.min(w / nKey, Math.max(room / nQuery, 0), size * 3.4);
  const square = cell * Math.max(nQuery, nKey) >= 120;
  const named = (/** @type {number} */ n) =>
    n * few <= Math.min(w, maxHeight * TALLER - top) ? Math.ceil(n * few) : 0;
  const plotW = square ? Math.max(cell * nKey, Math.min(nKey * size * 1.15, w)) : Math.min(w, nKey * size * 3.4);
  const plotH = square
    ? Math.max(cell * nQuery, Math.min(nQuery * size * 1.3, room, w), named(nQuery))
    : Math.min(room, nQuery * size * 3.4);
  const wide = nKey > 4 * nQuery || nQuery > 4 * nKey ? w : plotW;
  const plot = { x: left, y: top, w: Math.round(Math.max(wide, 40)), h: Math.round(Math.max(plotH, 40)) };
  const height = Math.max(top + plot.h + 4, Math.ceil(names) + 4);
  return { width, height, plot, labelW, labelH, slant };
}

/**
 * Show every how-many-th label, so that labels have the room they need.
 *
 * @param {number} spacing  pixels between two rows or columns
 * @param {number} needed   pixels a label needs
 */
export function thin(spacing, needed) {
  return STEPS.find((step) => step * spacing >= needed) ?? STEPS[STEPS.length - 1];
}

/** All of it. @param {number} nQuery @param {number} nKey @returns {View} */
export function wholeView(nQuery, nKey) {
  return { q0: 0, k0: 0, q: nQuery, k: nKey };
}

/** @param {View} view @param {number} nQuery @param {number} nKey */
export function isWhole(view, nQuery, nKey) {
  return view.q >= nQuery && view.k >= nKey;
}

/**
 * Zoom about a cell, which stays under the pointer.
 *
 * @param {View} view
 * @param {number} factor  > 1 comes closer
 * @param {{query: number, key: number}} about  may be fractions
 * @param {number} nQuery @param {number} nKey
 * @returns {View}
 */
export function zoom(view, factor, about, nQuery, nKey) {
  const q = Math.min(Math.max(view.q / factor, Math.min(FEWEST, nQuery)), nQuery);
  const k = Math.min(Math.max(view.k / factor, Math.min(FEWEST, nKey)), nKey);
  const q0 = about.query - ((about.query - view.q0) / view.q) * q;
  const k0 = about.key - ((about.key - view.k0) / view.k) * k;
  return inside({ q0, k0, q, k }, nQuery, nKey);
}

/**
 * @param {View} view
 * @param {number} dq rows
 * @param {number} dk columns
 * @param {number} nQuery
 * @param {number} nKey
 * @returns {View}
 */
export function pan(view, dq, dk, nQuery, nKey) {
  return inside({ ...view, q0: view.q0 + dq, k0: view.k0 + dk }, nQuery, nKey);
}

/**
 * Move as little as needed to see a cell.
 * @param {View} view
 * @param {{query: number | null, key: number | null}} mark
 * @param {number} nQuery
 * @param {number} nKey
 */
export function reveal(view, { query, key }, nQuery, nKey) {
  let { q0, k0 } = view;
  if (query !== null) q0 = Math.min(Math.max(q0, query + 1 - view.q), query);
  if (key !== null) k0 = Math.min(Math.max(k0, key + 1 - view.k), key);
  return q0 === view.q0 && k0 === view.k0 ? view : inside({ ...view, q0, k0 }, nQuery, nKey);
}

/** @param {View} view @param {number} nQuery @param {number} nKey @returns {View} */
function inside(view, nQuery, nKey) {
  return {
    ...view,
    q0: Math.min(Math.max(view.q0, 0), Math.max(nQuery - view.q, 0)),
    k0: Math.min(Math.max(view.k0, 0), Math.max(nKey - view.k, 0)),
  };
}

/**
 * What is under a point: a cell, a query label (no key), a key label (no query), or null.
 *
 * @param {HeatmapGeometry} g @param {View} view @param {number} x @param {number} y
 * @param {number} nQuery @param {number} nKey
 * @returns {{query: number | null, key: number | null} | null}
 */
export function cellAt(g, view, x, y, nQuery, nKey) {
  const { plot } = g;
  const inX = x >= plot.x && x < plot.x + plot.w;
  const inY = y >= plot.y && y < plot.y + plot.h;
  const query = Math.floor(view.q0 + ((y - plot.y) / plot.h) * view.q);
  if (inX && inY) {
    const key = Math.floor(view.k0 + ((x - plot.x) / plot.w) * view.k);
    return { query: Math.min(query, nQuery - 1), key: Math.min(key, nKey - 1) };
  }
  if (inY && x < plot.x) return { query: Math.min(query, nQuery - 1), key: null };
  if (y < plot.y && y >= plot.y - g.labelH) {
    const foot = x - (plot.y - y) / Math.tan(g.slant);
    const key = Math.floor(view.k0 + ((foot - plot.x) / plot.w) * view.k);
    return foot >= plot.x && foot < plot.x + plot.w ? { query: null, key: Math.min(key, nKey - 1) } : null;
  }
  return null;
}

/**
 * The box of a cell, CSS pixels; may lie outside the plot.
 * @param {Box} plot
 * @param {View} view
 * @param {number} query
 * @param {number} key
 * @returns {Box}
 */
export function cellBox(plot, view, query, key) {
  const w = plot.w / view.k;
  const h = plot.h / view.q;
  return { x: plot.x + (key - view.k0) * w, y: plot.y + (query - view.q0) * h, w, h };
}

/**
 * A part of a long row of tokens around one of them.
 *
 * @param {number} n     how many there are
 * @param {number} size  how many are shown
 * @param {number} start of the part shown now
 * @param {number | null} around  a token that must be seen
 * @returns {{from: number, to: number}}  `to` is not included
 */
export function windowAround(n, size, start, around) {
  if (n <= size) return { from: 0, to: n };
  let from = Math.min(Math.max(start, 0), n - size);
  if (around !== null && (around < from || around >= from + size)) from = around - Math.floor(size / 2);
  from = Math.min(Math.max(from, 0), n - size);
  return { from, to: from + size };
}

/**
 * Which 256 × 256 tiles a view needs.
 * @param {View} view
 * @param {number} nQuery
 * @param {number} nKey
 * @param {number} [side]
 */
export function tilesOf(view, nQuery, nKey, side = 256) {
  const tiles = [];
  for (let row = Math.floor(view.q0 / side) * side; row < Math.min(view.q0 + view.q, nQuery); row += side) {
    for (let col = Math.floor(view.k0 / side) * side; col < Math.min(view.k0 + view.k, nKey); col += side) {
      tiles.push({ row0: row, col0: col });
    }
  }
  return tiles;
}
