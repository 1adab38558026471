/**
 * The atlas as a grid: rows are layers, columns are heads, then the aggregates set apart.
 *
 * @typedef {ReturnType<typeof import("./overview.js").groupsOf>[number]} Group
 * @typedef {{group: number, row: number, col: number}} Place
 * @typedef {{width: number, height: number, pitch: number, thumb: number, x: number, y: number, aggregateX: number,
 *   allY: number, aggregatePitch: number, rows: number, cols: number, size: number, bracket: number}} Geometry
 */

/** Columns of a group: its heads, then mean and max. */
export const AGGREGATES = /** @type {const} */ (["mean", "max"]);

/**
 * @param {number} width  of the container, CSS pixels
 * @param {Group} group
 * @param {number} size   of the type, CSS pixels
 * @returns {Geometry}
 */
export function geometry(width, group, size) {
  const x = Math.ceil(size * 2.7);
  const apart = group.means ? Math.round(size * 0.9) : 0;
  const cols = group.nHeads + (group.means ? 2 : 0);
  const words = group.means ? Math.round(size * 2.4) : 0;
  const even = Math.floor((width - x - apart - 4) / cols);
  // Where heads are narrower than the words "mean" and "max", only those two columns get the room the words need.
  const fair = even < words ? Math.floor((width - x - apart - 4 - 2 * words) / group.nHeads) : even;
  const pitch = Math.min(Math.max(fair, 16), 64);
  const aggregatePitch = Math.max(pitch, words);
  const bracket = group.nKvHeads < group.nHeads ? Math.round(size * 0.8) : 0;
  const y = Math.ceil(size * 2.7) + bracket;
  const rows = group.layers.length;
  const aggregateX = x + group.nHeads * pitch + apart;
  const allY = y + rows * pitch + Math.round(size * 0.6);
  return {
    width: (group.means ? aggregateX + 2 * aggregatePitch : x + group.nHeads * pitch) + 4,
    height: (group.alls ? allY + pitch : y + rows * pitch) + 4,
    pitch,
    aggregatePitch,
    thumb: pitch - (pitch > 24 ? 4 : 2),
    x,
    y,
    aggregateX,
    allY,
    rows,
    cols: group.nHeads,
    size,
    bracket,
  };
}

/** Where a thumbnail begins. @param {Geometry} g @param {number} row @param {number} col */
export function corner(g, row, col) {
  return {
    x: col < g.cols ? g.x + col * g.pitch : g.aggregateX + (col - g.cols) * g.aggregatePitch,
    y: row < g.rows ? g.y + row * g.pitch : g.allY,
  };
}

/**
 * The thumbnail under a point, or null.
 * @param {Geometry} g
 * @param {Group} group
 * @param {number} x
 * @param {number} y
 */
export function hit(g, group, x, y) {
  let row = Math.floor((y - g.y) / g.pitch);
  if (row >= g.rows || y >= g.allY) row = y >= g.allY && y < g.allY + g.pitch ? g.rows : -1;
  let col = Math.floor((x - g.x) / g.pitch);
  if (col >= g.cols) col = x >= g.aggregateX ? g.cols + Math.floor((x - g.aggregateX) / g.aggregatePitch) : -1;
  return exists(group, row, col) ? { row, col } : null;
}

/** @param {Group} group @param {number} row @param {number} col */
export function exists(group, row, col) {
  if (row < 0 || col < 0) return false;
  if (row < group.layers.length) return col < group.nHeads || (group.means && col < group.nHeads + 2);
  return row === group.layers.length && group.alls && col >= group.nHeads && col < group.nHeads + 2;
}

/** What a place shows. @param {Group} group @param {number} row @param {number} col */
export function choiceAt(group, row, col) {
  return {
    layer: row < group.layers.length ? group.layers[row] : group.all,
    head: /** @type {number | "mean" | "max"} */ (col < group.nHeads ? col : AGGREGATES[col - group.nHeads]),
  };
}

/** @param {Group[]} groups @param {number | string} layer @param {number | string} head @returns {Place | null} */
export function placeOf(groups, layer, head) {
  for (let group = 0; group < groups.length; group++) {
    const g = groups[group];
    const row = layer === g.all ? g.layers.length : g.layers.indexOf(/** @type {number} */ (layer));
    if (row < 0) continue;
    const col = typeof head === "number" ? head : g.nHeads + AGGREGATES.findIndex((one) => one === head);
    return { group, row, col };
  }
  return null;
}

/**
 * Where an arrow, Home or End leads; the grids of an encoder-decoder are walked as one, top to bottom.
 *
 * @param {Group[]} groups
 * @param {Place} from
 * @param {string} key  as in KeyboardEvent.key
 * @returns {Place}  the same object at the edge
 */
export function walk(groups, from, key) {
  const group = groups[from.group];
  const rowCount = (/** @type {Group} */ g) => g.layers.length + (g.alls ? 1 : 0);
  const fit = (/** @type {number} */ g, /** @type {number} */ row, /** @type {number} */ col) => {
    const first = row === groups[g].layers.length ? groups[g].nHeads : 0;
    const last = groups[g].nHeads + (groups[g].means || row === groups[g].layers.length ? 2 : 0) - 1;
    return { group: g, row, col: Math.min(Math.max(col, first), last) };
  };
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const col = from.col + (key === "ArrowRight" ? 1 : -1);
    return exists(group, from.row, col) ? { ...from, col } : from;
  }
  if (key === "Home" || key === "End") return fit(from.group, from.row, key === "Home" ? 0 : group.nHeads - 1);
  if (key === "PageUp" || key === "PageDown")
    return fit(from.group, key === "PageUp" ? 0 : group.layers.length - 1, from.col);
  if (key === "ArrowUp") {
    if (from.row > 0) return fit(from.group, from.row - 1, from.col);
    return from.group > 0 ? fit(from.group - 1, rowCount(groups[from.group - 1]) - 1, from.col) : from;
  }
  if (key === "ArrowDown") {
    if (from.row + 1 < rowCount(group)) return fit(from.group, from.row + 1, from.col);
    return from.group + 1 < groups.length ? fit(from.group + 1, 0, from.col) : from;
  }
  return from;
}

/**
 * The next or previous head in reading order (aggregates are left out).
 * @param {Group[]} groups
 * @param {Place} from
 * @param {1 | -1} by
 */
export function neighbour(groups, from, by) {
  const group = groups[from.group];
  const row = Math.min(from.row, group.layers.length - 1);
  const col = from.col >= group.nHeads ? group.nHeads - (by < 0 ? 1 : 0) : from.col + by;
  if (col >= 0 && col < group.nHeads) return { group: from.group, row, col };
  if (col >= group.nHeads) {
    if (row + 1 < group.layers.length) return { group: from.group, row: row + 1, col: 0 };
    return from.group + 1 < groups.length ? { group: from.group + 1, row: 0, col: 0 } : from;
  }
  if (row > 0) return { group: from.group, row: row - 1, col: group.nHeads - 1 };
  if (from.group === 0) return from;
  const before = groups[from.group - 1];
  return { group: from.group - 1, row: before.layers.length - 1, col: before.nHeads - 1 };
}
