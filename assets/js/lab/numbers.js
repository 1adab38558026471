/**
 * Numbers in cells: how they are written, how a hovered number was made, where a step of the keyboard leads.
 *
 * @typedef {object} Matrix
 * @property {string} id        "weights:0", unique on the page
 * @property {string} name      "w_q", "scores", …
 * @property {number | null} head
 * @property {string} symbol    "W_Q", "QKᵀ"
 * @property {string} title     what it is, in words
 * @property {string} formula   "X · W_Q"
 * @property {"query" | "key" | "value" | "output" | ""} role
 * @property {"signed" | "weights"} kind   which colours
 * @property {boolean} editable
 * @property {number[]} shape   [rows, columns]
 * @property {string[]} rows    a label for each row
 * @property {string[]} columns
 * @property {boolean} words    its rows are the words
 * @property {(number | null)[]} values  row by row; null: masked (−∞)
 * @property {number[]} [changed]   cells that differ from the real head's, by their place in `values`
 * @property {Making} [made]
 *
 * How cell (i, j) came to be: from row i of `left` and column j (or row j) of `right`, from the same cell, or the same
 * row.
 * @typedef {object} Making
 * @property {"columns" | "rows" | "cell" | "row" | "joined"} by
 * @property {string} left          id
 * @property {string} [right]       id
 * @property {number} [from]        the head's first column: of `right` (columns), of both (rows)
 * @property {number} [width]       how many columns are the head's
 * @property {string[]} [parts]     ids of what is set side by side
 *
 * A row, a column, one cell, or (with `from` and `to`) a part of a row.
 * @typedef {{id: string, row: number | null, column: number | null, from?: number, to?: number}} Mark
 */

/** A result: two decimals, a true minus sign; large ones with as many digits as fit. @param {number | null} x */
export function shown(x) {
  if (x === null || x === -Infinity) return "−∞";
  if (x === Infinity) return "∞";
  if (x !== x) return "not a number";
  const size = Math.abs(x);
  const text =
    size >= 1e4 ? x.toExponential(1).replace("e+", "e") : x.toFixed(size >= 999.5 ? 0 : size >= 99.95 ? 1 : 2);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A number that somebody typed: as short as it is, at most three decimals. @param {number | null} x */
export function typed(x) {
  if (x === null) return "−∞";
  const rounded = Math.round(x * 1000) / 1000;
  if (rounded === 0 && x !== 0)
    return x
      .toExponential(0)
      .replace("-", x < 0 ? "−" : "-")
      .replace("e-", "e−");
  return String(rounded === 0 ? 0 : rounded).replace("-", "−");
}

/** What stands in the box when a cell is opened: the exact number. @param {number | null} x */
export function exact(x) {
  return x === null ? "" : String(x);
}

/**
 * What stands in a cell. Masked scores are −∞, masked weights 0.
 * @param {Matrix} matrix
 * @param {number} row
 * @param {number} column
 */
export function cellText(matrix, row, column) {
  const value = at(matrix, row, column);
  if (value === null) return matrix.name === "masked" ? "−∞" : "0";
  return matrix.editable ? typed(value) : shown(value);
}

/** @param {Matrix} matrix @param {number} row @param {number} column */
export function at(matrix, row, column) {
  return matrix.values[row * matrix.shape[1] + column];
}

/**
 * True if a matrix repeats, cell by cell, the one that it was made from: no mask is on, one head is joined.
 * @param {Matrix} matrix
 * @param {(id: string) => Matrix | undefined} find
 */
export function repeats(matrix, find) {
  if (matrix.name !== "masked" && matrix.name !== "joined") return false;
  const from = find(matrix.made?.left ?? "");
  return (
    from !== undefined &&
    String(from.shape) === String(matrix.shape) &&
    matrix.values.every((x, i) => x === from.values[i])
  );
}

/**
 * Where a key leads from a cell; null if the key does not walk.
 *
 * @param {string} key @param {number} row @param {number} column @param {number[]} shape @param {boolean} [control]
 * @returns {[number, number] | null}
 */
export function walk(key, row, column, [rows, columns], control = false) {
  const clamp = (/** @type {number} */ x, /** @type {number} */ n) => Math.min(Math.max(x, 0), n - 1);
  switch (key) {
    case "ArrowUp":
      return [clamp(row - 1, rows), column];
    case "ArrowDown":
      return [clamp(row + 1, rows), column];
    case "ArrowLeft":
      return [row, clamp(column - 1, columns)];
    case "ArrowRight":
      return [row, clamp(column + 1, columns)];
    case "Home":
      return [control ? 0 : row, 0];
    case "End":
      return [control ? rows - 1 : row, columns - 1];
    case "PageUp":
      return [0, column];
    case "PageDown":
      return [rows - 1, column];
    default:
      return null;
  }
}

/**
 * The next cell in reading order, or null past the end.
 * @param {number} row
 * @param {number} column
 * @param {number[]} shape
 * @param {number} by
 * @returns {[number, number] | null}
 */
export function next(row, column, [rows, columns], by) {
  const place = row * columns + column + by;
  return place < 0 || place >= rows * columns ? null : [Math.floor(place / columns), place % columns];
}

/**
 * The rows and columns that a cell came from.
 *
 * @param {Matrix} matrix @param {number} row @param {number} column
 * @returns {Mark[]}
 */
export function makers(matrix, row, column) {
  const { made } = matrix;
  if (!made) return [];
  const { left, right = "", from = 0, width = 0 } = made;
  if (made.by === "columns")
    return [
      { id: left, row, column: null },
      { id: right, row: null, column: column + from },
    ];
  if (made.by === "rows") {
    const part = width ? { from, to: from + width } : {};
    return [
      { id: left, row, column: null, ...part },
      { id: right, row: column, column: null, ...part },
    ];
  }
  if (made.by === "row") return [{ id: left, row, column: null }];
  if (made.by === "joined")
    return [{ id: (made.parts ?? [])[Math.floor(column / width)] ?? left, row, column: column % width }];
  return [left, right].filter((id) => id).map((id) => ({ id, row, column }));
}

/**
 * The products that a cell is the sum of, in order; null if it is not made by products.
 *
 * @param {Matrix} matrix @param {number} row @param {number} column @param {(id: string) => Matrix | undefined} find
 * @returns {{left: number, right: number, product: number}[] | null}
 */
export function terms(matrix, row, column, find) {
  const { made } = matrix;
  if (!made || (made.by !== "columns" && made.by !== "rows")) return null;
  const left = find(made.left);
  const right = find(made.right ?? "");
  if (!left || !right) return null;
  const from = made.from ?? 0;
  const first = made.by === "rows" ? from : 0;
  const count = made.by === "rows" && made.width ? made.width : left.shape[1];
  return Array.from({ length: count }, (_, k) => {
    const a = at(left, row, first + k) ?? 0;
    const b = (made.by === "columns" ? at(right, k, column + from) : at(right, column, first + k)) ?? 0;
    return { left: a, right: b, product: a * b };
  });
}

/**
 * Of many products the largest, in their order, and the sum of the others.
 *
 * @template {{product: number}} T
 * @param {T[]} all @param {number} most
 */
export function foremost(all, most) {
  if (all.length <= most) return { few: all, others: 0, rest: 0 };
  const order = all.map((_, i) => i).sort((a, b) => Math.abs(all[b].product) - Math.abs(all[a].product) || a - b);
  const chosen = new Set(order.slice(0, most));
  const few = all.filter((_, i) => chosen.has(i));
  const rest = all.reduce((sum, one, i) => (chosen.has(i) ? sum : sum + one.product), 0);
  return { few, others: all.length - few.length, rest };
}

/** The range of the slider: room on both sides of the number, in round steps. @param {number} value */
export function sliderRange(value) {
  let top = 3;
  while (Math.abs(value) > top) top *= top === 3 ? 10 / 3 : 10;
  top = Math.round(top);
  return { min: -top, max: top, step: top <= 3 ? 0.05 : top / 100 };
}

/**
 * The value after dragging sideways: a step for each few pixels, on whole steps.
 * @param {number} from
 * @param {number} pixels
 * @param {boolean} fine
 */
export function dragged(from, pixels, fine) {
  const step = (fine ? 0.01 : 0.05) * Math.max(1, 10 ** Math.floor(Math.log10(Math.max(Math.abs(from), 1))));
  const value = from + Math.trunc(pixels / 4) * step;
  return Math.min(Math.max(Math.round(value * 1e6) / 1e6, -1e4), 1e4);
}
