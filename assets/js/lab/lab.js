/**
 * The Lab: attention from scratch, with matrices that can be edited.
 *
 * Nothing is computed here but the products of a cell that somebody points at; every matrix comes from Python
 * (`attention_core/lab/run.py`). The browser tells Python one committed edit at a time and shows what comes back.
 *
 * @typedef {import("./numbers.js").Matrix} Matrix
 * @typedef {import("./numbers.js").Mark} Mark
 *
 * @typedef {object} Data
 * @property {number} ack            the newest action that is done
 * @property {string} state          the state as text, for files
 * @property {string | null} link
 * @property {string} link_note
 * @property {{says: string, id?: string, row?: number, column?: number, n: number} | null} problem
 * @property {string[]} said         sentences about the link that was opened
 * @property {string[]} words
 * @property {number} n_heads @property {number} d_model @property {number} d_head
 * @property {number} joined         columns of all heads side by side
 * @property {boolean} direct        q, k and v are the cells
 * @property {{says: string, notes: string[], changed: number} | null} real
 * @property {import("./switches.js").Switches} switches
 * @property {Matrix[]} matrices
 * @property {boolean} can_undo @property {boolean} can_redo
 * @property {{name: string, title: string, notice: string, task: string, done: boolean, says: string, hint: string,
 *   look: {id: string, row: number, column: number}} | null} preset
 * @property {{name: string, title: string, teaches: string}[]} presets
 * @property {import("./compare.js").Comparison} compare
 * @property {import("./arrows.js").Plane | null} plane
 * @property {{word: number, difference: number}} alone
 * @property {number | null} shuffled   how much a result differs after a shuffle; null if the words cannot be shuffled
 * @property {import("./real.js").Model | null} model
 * @property {{min_words: number, max_words: number}} limits
 * @property {string} files          address of the downloads
 * @property {boolean} [large]
 */
import { mark, typing } from "../base/dom.js";
import { createFrame } from "./frame.js";
import { createGrid } from "./grid.js";
import { cellText, exact, makers, repeats } from "./numbers.js";
import { foremostPair } from "./plane.js";
import { createQueue } from "./queue.js";
import { mounting } from "../base/mounting.js";
import { readColours } from "../picture/signed.js";
import { View } from "../base/view.js";

/**
 * What outlives a view that Streamlit takes away and puts back (it does, when reruns follow one another quickly):
 * actions that are not done yet, and where the focus was. One Lab is on a page.
 */
const kept = {
  /** @type {Lab | null} */
  lab: null,
  queue: createQueue((actions) => kept.lab?.callbacks.setState?.("acts", actions)),
  /** @type {{id: string, row: number, column: number} | null} the cell that holds the focus */
  focus: null,
  head: 0,
  /** When the last view was taken away, ms. */
  left: -Infinity,
};

/** A view that is put back sooner than this had only been exchanged: the focus returns to its cell, ms. */
const EXCHANGED = 2000;
/** An answer that takes longer is waited for: the matrices then fade, ms. */
const PATIENCE = 500;

/** @extends {View<Data>} */
export class Lab extends View {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {import("../picture/signed.js").Colours} */
  colours;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    this.queue = kept.queue;
    this.head = kept.head;
    kept.lab = this;
    /** The cell that held the focus before the view was put back. */
    this.held = performance.now() - kept.left < EXCHANGED ? kept.focus : null;
    this.begun = false;
    /** @type {Map<string, ReturnType<typeof createGrid>>} */
    this.grids = new Map();
    /** @type {Map<string, Matrix>} */
    this.found = new Map();
    /** @type {{id: string, row: number, column: number} | null} the cell that has, or last had, the focus */
    this.focused = null;
    /** @type {{id: string, row: number, column: number} | null} the cell under the pointer */
    this.hovered = null;
    /** @type {Map<string, {text: string, n: number}>} what was typed and is not back yet */
    this.typed = new Map();
    /** @type {{id: string, row: number, column: number, says: string} | null} what was wrong with an edit */
    this.fault = null;
    this.faultSeen = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} runs while something that was told is not answered */
    this.late = undefined;
    /** The words that the picture in the plane is about. */
    this.pair = { query: 0, key: 0 };
    this.lesson = "";
    /** @type {Set<string>} matrices that repeat another and are shown all the same */
    this.unfolded = new Set();
    this.frame = createFrame(this);
    this.listen();
  }

  /** @param {Data} data @param {Lab["callbacks"]} callbacks */
  update(data, callbacks) {
    this.callbacks = callbacks;
    this.data = data;
    this.queue.done(data.ack);
    this.answered();
    if (this.queue.waiting.length) this.expect();
    if (!this.begun) {
      this.begun = true;
      this.queue.again();
    }
    for (const [cell, { n }] of this.typed) if (n <= data.ack) this.typed.delete(cell);
    this.found = new Map(data.matrices.map((matrix) => [matrix.id, matrix]));
    this.head = kept.head = Math.min(this.head, data.n_heads - 1);
    for (const name of /** @type {const} */ (["query", "key"]))
      this.pair[name] = Math.min(this.pair[name], data.words.length - 1);
    if (this.focused && !this.found.has(this.focused.id)) this.focused = null;
    this.hovered = this.hovered && this.found.has(this.hovered.id) ? this.hovered : null;
    if (data.preset && data.preset.name !== this.lesson) {
      const { id, row, column } = data.preset.look;
      this.focused = this.found.has(id) ? { id, row, column } : null;
      if (this.focused) this.grids.get(id)?.hold(row, column);
      if (this.lesson || !this.held) this.head = kept.head = this.found.get(id)?.head ?? 0;
      const arrows = data.plane?.heads[this.head];
      this.pair = arrows ? foremostPair(arrows.queries, arrows.dots) : { query: 0, key: 0 };
    }
    this.lesson = data.preset?.name ?? "";
    this.take(data.problem);
    this.whenStyled(() => {
      const colours = readColours(this.frame.probe);
      // the same ones: nothing to paint anew
      if (JSON.stringify(colours) !== JSON.stringify(this.colours)) this.colours = colours;
      this.draw();
    });
  }

  retheme() {
    if (this.colours) super.retheme();
  }

  readTheme() {
    this.colours = readColours(this.frame.probe);
  }

  /** A problem that has not been shown yet. @param {Data["problem"]} problem */
  take(problem) {
    if (!problem) {
      if (this.queue.waiting.length === 0) this.forgive();
      return;
    }
    if (problem.n === this.faultSeen) return;
    this.faultSeen = problem.n;
    const { id, row = 0, column = 0, says } = problem;
    const matrix = this.found.get(id ?? "");
    this.fault = matrix && id ? { id, row, column, says: `${says} ${cellText(matrix, row, column)} is kept.` } : null;
    if (!id) this.tell(says);
  }

  // --- what Python is told

  /** @param {import("./queue.js").Wish} action */
  act(action) {
    this.forgive();
    this.tell(""); // what was said about the action before
    this.queue.tell(action);
    mark(this.frame.host, "data-sent", String(this.queue.waiting.at(-1)?.n ?? 0));
    this.expect();
  }

  /** What is shown is older than what was told: say so if it lasts. */
  expect() {
    this.late ??= setTimeout(() => mark(this.frame.host, "aria-busy", true), PATIENCE);
  }

  /** Everything that was told is answered. */
  answered() {
    clearTimeout(this.late);
    this.late = undefined;
    mark(this.frame.host, "aria-busy", null);
  }

  /** A committed edit. @param {string} id @param {number} row @param {number} column @param {string} text */
  edit(id, row, column, text) {
    const matrix = /** @type {Matrix} */ (this.found.get(id));
    this.act({ do: "cell", matrix: matrix.name, row, column, text });
    this.typed.set(`${id}/${row}/${column}`, { text, n: this.queue.waiting.at(-1)?.n ?? 0 });
  }

  /**
   * A value that a slider or a drag passes over.
   * @param {string} id
   * @param {number} row
   * @param {number} column
   * @param {number} value
   */
  pass(id, row, column, value) {
    const matrix = /** @type {Matrix} */ (this.found.get(id));
    this.queue.pass({ matrix: matrix.name, row, column, text: exact(value) });
    this.expect();
  }

  /** What was typed into a cell and is not back yet. @param {string} id @param {number} row @param {number} column */
  waits(id, row, column) {
    return this.typed.size === 0 ? undefined : this.typed.get(`${id}/${row}/${column}`)?.text; // every cell asks
  }

  /** @param {string} id */
  repaint(id) {
    const matrix = this.found.get(id);
    if (matrix) this.grids.get(id)?.update(matrix);
  }

  /** Put away what was wrong. */
  forgive() {
    this.fault = null;
    this.frame.fault.hide();
  }

  // --- what is looked at

  /** @param {string | null} id @param {number} [row] @param {number} [column] */
  hover(id, row = 0, column = 0) {
    this.hovered = id === null ? null : { id, row, column };
    this.point();
  }

  /** @param {string} id @param {number} row @param {number} column */
  focusOn(id, row, column) {
    this.focused = { id, row, column };
    kept.focus = this.focused;
    this.hovered = null;
    this.point();
  }

  /** The focus has left a matrix. @param {string} id */
  left(id) {
    if (kept.focus?.id === id && this.frame.host.isConnected) kept.focus = null;
  }

  /** Mark the cell that is looked at and what it was made of, and write it out. */
  point() {
    const place = this.hovered ?? this.focused;
    for (const grid of this.grids.values()) grid.unmark();
    if (place) {
      const matrix = this.found.get(place.id);
      if (matrix) {
        for (const made of makers(matrix, place.row, place.column)) this.grids.get(made.id)?.marks([made]);
        this.grids.get(place.id)?.marks([{ id: place.id, row: place.row, column: place.column }]);
        this.follow(matrix, place.row, place.column);
      }
    }
    this.frame.inspector.draw(place);
  }

  /**
   * The plane shows the words of the cell that is looked at.
   * @param {Matrix} matrix
   * @param {number} row
   * @param {number} column
   */
  follow(matrix, row, column) {
    const before = { ...this.pair };
    if (["scores", "scaled", "masked", "weights"].includes(matrix.name)) this.pair = { query: row, key: column };
    else if (matrix.name.startsWith("q")) this.pair.query = row;
    else if (matrix.name.startsWith("k")) this.pair.key = row;
    if (before.query !== this.pair.query || before.key !== this.pair.key) this.frame.arrows.draw();
  }

  /** @param {Partial<Lab["pair"]>} change */
  choosePair(change) {
    this.pair = { ...this.pair, ...change };
    this.frame.arrows.draw();
  }

  /** @param {number} head */
  chooseHead(head) {
    this.head = kept.head = head;
    this.focused = this.hovered = null;
    this.draw();
  }

  /** @param {Matrix} matrix */
  repeats(matrix) {
    return repeats(matrix, (id) => this.found.get(id));
  }

  /** Show a matrix that repeats another, or fold it again. @param {string} id */
  unfold(id) {
    const name = this.found.get(id)?.name ?? "";
    if (!this.unfolded.delete(name)) this.unfolded.add(name);
    this.repaint(id);
  }

  /** The matrix of this name that is on screen. @param {string} name */
  shown(name) {
    return this.found.get(`${name}:${this.head}`) ?? this.found.get(name);
  }

  /** Go to a matrix or a section, and let it be seen. @param {string} name */
  goTo(name) {
    const matrix = this.shown(name);
    const grid = matrix && this.grids.get(matrix.id);
    const element = grid?.element ?? this.frame.host.querySelector(`[data-place="${name}"]`);
    if (!element) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" });
    for (const old of this.frame.host.querySelectorAll("[data-found]")) mark(old, "data-found", null);
    mark(element, "data-found", true);
    if (grid) grid.focus(...grid.here);
    else /** @type {HTMLElement} */ (element).focus?.({ preventScroll: true });
  }

  /** @param {string} text */
  tell(text) {
    this.frame.tell(text);
  }

  /** @param {string} id */
  grid(id) {
    let grid = this.grids.get(id);
    if (!grid) this.grids.set(id, (grid = createGrid(this, id)));
    return grid;
  }

  draw() {
    if (!this.colours) return;
    for (const id of this.grids.keys()) if (!this.found.has(id)) this.grids.delete(id);
    for (const part of this.frame.parts) part.draw();
    this.point();
    this.frame.fault.draw(this.fault);
    if (this.held) {
      const { id, row, column } = this.held;
      this.held = null;
      this.grids.get(id)?.focus(row, column);
    }
    mark(this.frame.host, "data-sent", String(this.queue.waiting.at(-1)?.n ?? this.data.ack));
    mark(this.frame.host, "data-ready", String(this.data.ack));
    performance.mark("sightline:lab");
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (!this.frame.host.isConnected || event.defaultPrevented) return;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (control && !event.altKey && (key === "z" || key === "y")) {
      if (typing(event)) return; // a box has its own undo
      event.preventDefault();
      this.act({ do: key === "y" || event.shiftKey ? "redo" : "undo" });
    } else if (event.key === "Escape" && this.fault) this.forgive();
  }

  destroy() {
    super.destroy();
    this.answered();
    kept.left = performance.now();
    if (kept.lab === this) kept.lab = null;
  }
}

const { render, mount } = mounting(Lab);
export { render, mount as default };
