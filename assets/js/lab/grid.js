/**
 * One matrix as a table of numbers: coloured, walked by the keyboard, and edited where it may be.
 *
 * @typedef {import("./numbers.js").Matrix} Matrix
 * @typedef {import("./numbers.js").Mark} Mark
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";
import { editable } from "./editor.js";
import { at, cellText, walk } from "./numbers.js";
import { css, rampAt, textOn } from "../base/scale.js";
import { signedPlace, topOf } from "../picture/signed.js";

/** The strongest colours are left to the weights: a matrix full of ones must not shout. */
const SOFT = 0.62;
/** A matrix with more columns shows its colours first, its numbers when somebody points or asks. */
export const MOST = 16;
/** A matrix with more rows scrolls in its own frame, or it would push all that follows out of sight. */
const TALL = 16;
/** Characters of 0.00. */
const LEAST = 4;
/** Labels with more characters lean. */
const UPRIGHT = 5;

/**
 * What a cell looks like.
 *
 * @param {number | null} value @param {"signed" | "weights"} kind @param {number} top the largest magnitude of the
 *   matrix
 * @param {import("../picture/signed.js").Colours} colours
 */
export function look(value, kind, top, colours) {
  if (value === null) return null;
  const rgb =
    kind === "weights" ? rampAt(colours.weights, value) : rampAt(colours.signed, signedPlace(value * SOFT, top));
  return {
    background: css(rgb),
    /** Worked out where a number is written: most cells of a wide matrix show only their colour. */
    get ink() {
      return css(textOn(rgb));
    },
  };
}

/** The magnitude that gets the strongest colour: pale numbers stay pale. @param {Matrix} matrix */
export function topFor(matrix) {
  return Math.max(topOf(/** @type {number[]} */ (matrix.values.filter((x) => x !== null))), 1);
}

/**
 * Characters that the columns of a matrix are made for: those of its longest number, at least 0.00.
 * @param {Matrix} matrix
 */
export function charsOf(matrix) {
  const [rows, columns] = matrix.shape;
  let most = LEAST;
  for (let i = 0; i < rows * columns; i++)
    most = Math.max(most, cellText(matrix, Math.floor(i / columns), i % columns).length);
  return Math.min(most, 9);
}

/**
 * How far leaning labels reach beyond the last column, in units of the type size.
 * @param {number[]} lengths characters
 */
export function overhang(lengths) {
  return Math.max(0, ...lengths.map((n, c) => n * 0.49 + 0.4 - (lengths.length - c - 0.42) * 2.8));
}

/** @param {Lab} app @param {string} id */
export function createGrid(app, id) {
  const name = h("b", { class: "lab-symbol" });
  const formula = h("span", { class: "lab-formula" });
  const shape = h("span", { class: "lab-shape" });
  const unfold = h("button", { type: "button", class: "sl-plain", hidden: true, onclick: () => app.unfold(id) });
  const caption = h("figcaption", null, h("span", { class: "lab-says" }, name, formula), shape, unfold);
  const table = h("table", { class: "lab-grid", role: "grid", "data-id": id });
  const scroll = h("div", { class: "lab-scroll" }, table);
  const element = h("figure", { class: "lab-matrix", "data-matrix": id }, caption, scroll);
  /** @type {Matrix} */
  let matrix; // set by the first update, before anything else is asked
  /** @type {HTMLTableCellElement[][]} */
  let cells = [];
  /** @type {HTMLTableCellElement[]} */
  let heads = [];
  /** @type {HTMLTableCellElement[]} */
  let sides = [];
  let built = "";
  /** A result whose numbers are too small to be read, so that they are said and not written. */
  let bare = false;
  /**
   * What the cells show, so that an edit paints only what it changed.
   * @type {{ground: string, colours: import("../picture/signed.js").Colours | null, values: (number | null |
   *   undefined)[], lengths: number[]}}
   */
  let painted = { ground: "", colours: null, values: [], lengths: [] };
  /** @type {[number, number]} the cell that Tab goes to */
  let here = [0, 0];
  const marking = createMarks(() => ({ cells, sides, heads }));

  const self = {
    element,
    table,
    get matrix() {
      return matrix;
    },
    get here() {
      return here;
    },
    /** @param {number} row @param {number} column */
    cell: (row, column) => cells[row]?.[column],
    update,
    focus,
    hold,
    show,
    marks: marking.marks,
    unmark: marking.unmark,
    /** The cell shows something else now: paint it next time. @param {number} row @param {number} column */
    forget: (row, column) => (painted.values[row * matrix.shape[1] + column] = undefined),
  };
  const editor = editable(app, self);

  /** @param {Matrix} now */
  function update(now) {
    matrix = now;
    const key = `${now.shape}|${now.rows.join("\n")}|${now.columns.join("\n")}|${now.editable}|${now.words}`;
    if (key !== built) build(key);
    say(name, now.symbol);
    say(
      formula,
      now.formula.startsWith(now.symbol) ? now.formula.slice(now.symbol.length) : ` ${now.formula || now.title}`,
    );
    say(shape, now.shape.join("×"));
    mark(element, "data-role", now.role || null);
    mark(
      table,
      "aria-label",
      `${now.symbol}, ${now.title}, ${now.shape[0]} by ` +
        `${now.shape[1]}${now.editable ? "; type to change a number" : ""}`,
    );
    caption.title = now.formula ? `${now.title}: ${now.formula}` : now.title;
    const same = app.repeats(now);
    const folded = same && !app.unfolded.has(now.name);
    mark(element, "data-folded", folded);
    const large = now.shape[1] > MOST;
    const open = app.unfolded.has(now.name);
    mark(table, "data-small", large && !open);
    bare = large && !open && !now.editable;
    mark(scroll, "data-tall", now.shape[0] > TALL);
    unfold.hidden = !same && !large;
    const does = same ? ["show", "fold"] : ["numbers", "small"];
    say(unfold, does[Number(open)]);
    mark(unfold, "aria-label", `${does[Number(open)]}: ${now.symbol}, ${now.title}`);
    if (!folded) paint();
  }

  /** @param {string} key */
  function build(key) {
    built = key;
    const [rows, columns] = matrix.shape;
    here = [Math.min(here[0], rows - 1), Math.min(here[1], columns - 1)];
    const lean = matrix.columns.some((label) => [...label].length > UPRIGHT);
    const made = cellsOf(matrix, here);
    ({ heads, sides, cells } = made);
    mark(table, "data-lean", lean);
    const lengths = matrix.columns.map((label) => Math.min([...label].length, 9));
    table.style.setProperty("--lean", String(Math.max(...lengths)));
    table.style.setProperty("--over", lean ? `${overhang(lengths).toFixed(2)}em` : "0px");
    mark(table, "data-edit", matrix.editable);
    mark(table, "data-words", matrix.words);
    table.replaceChildren(made.head, made.body);
  }

  function paint() {
    const top = topFor(matrix);
    const [rows, columns] = matrix.shape;
    const changed = new Set(matrix.changed ?? []);
    let wide = LEAST;
    const ground = `${built}|${top}|${matrix.kind}|${matrix.name}|${bare}`;
    const fresh = painted.ground !== ground || painted.colours !== app.colours;
    if (fresh) painted = { ground, colours: app.colours, values: [], lengths: [] };
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const value = at(matrix, r, c);
        const cell = cells[r][c];
        const waits = app.waits(id, r, c);
        const i = r * columns + c;
        if (painted.values[i] === value && waits === undefined && !matrix.changed && !editor.isOpen(r, c)) {
          wide = Math.max(wide, painted.lengths[i]);
          continue;
        }
        painted.values[i] = waits === undefined && !editor.isOpen(r, c) ? value : undefined;
        if (!editor.isOpen(r, c)) {
          const text = waits ?? cellText(matrix, r, c);
          say(cell, bare ? "" : text); // laying out hundreds of texts that nobody sees takes longer than all the rest
          mark(cell, "aria-label", bare ? text : null);
          painted.lengths[i] = Math.min(text.length, 9);
          wide = Math.max(wide, painted.lengths[i]);
        }
        const seen = look(value, matrix.kind, top, app.colours);
        const style = cell.style;
        style.backgroundColor = seen?.background ?? "";
        if (!bare) {
          const zero = value !== null && Math.abs(value) < 0.005;
          mark(cell, "data-zero", zero);
          style.color = zero ? "" : (seen?.ink ?? "");
        }
        mark(cell, "data-masked", value === null);
        mark(cell, "data-waits", waits !== undefined);
        if (matrix.changed) mark(cell, "data-changed", changed.has(r * columns + c));
      }
    }
    if (table.dataset.wide !== String(wide)) {
      table.dataset.wide = String(wide);
      table.style.setProperty("--chars", String(wide));
    }
  }

  /** Make (row, column) the cell that Tab goes to. @param {number} row @param {number} column */
  function hold(row, column) {
    if (!cells[row]?.[column]) return;
    const old = cells[here[0]]?.[here[1]];
    if (old) old.tabIndex = -1;
    here = [row, column];
    cells[row][column].tabIndex = 0;
  }

  /** @param {number} row @param {number} column */
  function focus(row, column) {
    if (!cells[row]?.[column]) return;
    hold(row, column);
    cells[row][column].focus({ preventScroll: false });
  }

  /** Scroll a cell of a wide matrix into its own view. @param {number} row @param {number} column */
  function show(row, column) {
    cells[row]?.[column]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {Event} event @returns {[number, number] | null} */
  function place(event) {
    const cell = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.("td[data-r]"));
    return cell ? [Number(cell.dataset.r), Number(cell.dataset.c)] : null;
  }

  table.onpointerover = (event) => {
    const found = place(event);
    if (found && event.pointerType !== "touch") app.hover(id, found[0], found[1]);
  };
  table.onpointerleave = () => app.hover(null);
  table.addEventListener("focusin", (event) => {
    const found = place(event);
    if (!found) return;
    hold(found[0], found[1]);
    app.focusOn(id, found[0], found[1]);
  });
  table.addEventListener("focusout", (event) => {
    if (!table.contains(/** @type {Node | null} */ (event.relatedTarget))) app.left(id);
  });
  table.onkeydown = (event) => {
    const found = place(event);
    if (!found || editor.key(event, found[0], found[1])) return;
    if (event.altKey || event.metaKey) return;
    const to = walk(event.key, found[0], found[1], matrix.shape, event.ctrlKey);
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    focus(to[0], to[1]);
  };
  return self;
}

/**
 * The cells of a matrix with their labels.
 *
 * @param {Matrix} matrix @param {[number, number]} here  the cell that Tab goes to
 */
function cellsOf(matrix, here) {
  const heads = matrix.columns.map((label, c) =>
    h("th", { scope: "col", title: label, "data-c": c }, h("span", null, h("bdi", null, label))),
  );
  const sides = matrix.rows.map((label, r) =>
    h("th", { scope: "row", title: label, "data-r": r }, h("bdi", null, label)),
  );
  const cells = sides.map((_, r) =>
    heads.map((_, c) =>
      h(
        "td",
        {
          role: "gridcell",
          tabindex: r === here[0] && c === here[1] ? "0" : "-1",
          "data-r": r,
          "data-c": c,
          "aria-readonly": String(!matrix.editable),
        },
        "",
      ),
    ),
  );
  return {
    heads,
    sides,
    cells,
    head: h("thead", null, h("tr", null, h("td", { "aria-hidden": "true" }), ...heads)),
    body: h("tbody", null, ...cells.map((line, r) => h("tr", null, sides[r], ...line))),
  };
}

/**
 * What is pointed at, and what it was made of.
 * @param {() => {cells: HTMLElement[][], sides: HTMLElement[], heads: HTMLElement[]}} now
 */
function createMarks(now) {
  /** @type {HTMLElement[]} */
  let marked = [];

  /** @param {HTMLElement | undefined} cell @param {string} how */
  function add(cell, how) {
    if (!cell) return;
    mark(cell, "data-mark", how);
    marked.push(cell);
  }

  return {
    /** @param {Mark[]} list */
    marks(list) {
      const { cells, sides, heads } = now();
      for (const { row, column, from = 0, to = heads.length } of list) {
        if (row !== null && column !== null) add(cells[row]?.[column], "cell");
        else if (row !== null) {
          for (let c = from; c < to; c++)
            add(cells[row]?.[c], c === from ? "row-first" : c === to - 1 ? "row-last" : "row");
          add(sides[row], "label");
        } else if (column !== null) {
          const last = cells.length - 1;
          for (let r = 0; r <= last; r++)
            add(cells[r]?.[column], r === 0 ? "column-first" : r === last ? "column-last" : "column");
          add(heads[column], "label");
        }
      }
    },
    unmark() {
      for (const cell of marked) mark(cell, "data-mark", null);
      marked = [];
    },
  };
}
