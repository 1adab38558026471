/**
 * Editing a cell where it stands: typing, Enter, Escape, Tab, arrows up and down; dragging sideways changes the number.
 *
 * A committed edit is told once. What cannot be a number is answered by Python, with a sentence beside the cell.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h } from "../base/dom.js";
import { at, dragged, exact, next, walk } from "./numbers.js";

/** Pixels before a press becomes a drag. */
const SLACK = 4;
/** Keys that begin to type into a cell. */
const BEGINS = /^[-+−.,0-9a-zA-Z∞]$/;

/**
 * @param {Lab} app
 * @param {{element: HTMLElement, table: HTMLTableElement, matrix: import("./numbers.js").Matrix, cell: (row: number,
 *   column: number) => HTMLTableCellElement | undefined, focus: (row: number, column: number) => void, forget: (row:
 *   number, column: number) => void}} grid
 */
export function editable(app, grid) {
  /** @type {{row: number, column: number, box: HTMLInputElement} | null} */
  let open = null;

  /**
   * @param {number} row
   * @param {number} column
   * @param {string | null} text null: the number that is there, selected
   */
  function start(row, column, text) {
    const cell = grid.cell(row, column);
    if (!cell || !grid.matrix.editable) return;
    if (open) close(true);
    const { symbol, rows, columns } = grid.matrix;
    const box = h("input", {
      class: "lab-box",
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": `${symbol}, ${rows[row]}, ${columns[column]}`,
    });
    box.value = text ?? exact(at(grid.matrix, row, column));
    open = { row, column, box };
    app.forgive();
    cell.replaceChildren(box);
    grid.forget(row, column);
    box.focus({ preventScroll: true });
    if (text === null) box.select();
    box.onblur = () => close(true);
  }

  /** @param {boolean} keep */
  function close(keep) {
    if (!open) return;
    const { row, column, box } = open;
    open = null;
    box.onblur = null;
    const before = exact(at(grid.matrix, row, column));
    const cell = grid.cell(row, column);
    if (keep && box.value !== before) {
      cell?.replaceChildren(box.value);
      app.edit(grid.matrix.id, row, column, box.value);
    } else cell?.replaceChildren();
    app.repaint(grid.matrix.id);
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} row
   * @param {number} column
   * @returns {boolean} true if it was for the editor
   */
  function key(event, row, column) {
    if (!grid.matrix.editable) return false;
    if (open) {
      event.stopPropagation();
      const shape = grid.matrix.shape;
      /** @type {[number, number] | null} */
      let to = null;
      if (event.key === "Escape") {
        close(false);
        to = [row, column];
      } else if (event.key === "Enter")
        to = event.shiftKey ? walk("ArrowUp", row, column, shape) : walk("ArrowDown", row, column, shape);
      else if (event.key === "ArrowUp" || event.key === "ArrowDown") to = walk(event.key, row, column, shape);
      else if (event.key === "Tab") to = next(row, column, shape, event.shiftKey ? -1 : 1) ?? [row, column];
      if (!to) return true;
      event.preventDefault();
      close(true);
      grid.focus(to[0], to[1]);
      return true;
    }
    if (event.altKey && event.key === "ArrowDown") {
      event.preventDefault();
      app.frame.inspector.slide();
      return true;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.shiftKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const before = Number(app.waits(grid.matrix.id, row, column) ?? at(grid.matrix, row, column));
      app.edit(grid.matrix.id, row, column, exact(dragged(before, event.key === "ArrowUp" ? 4 : -4, false)));
      app.repaint(grid.matrix.id);
    } else if (event.key === "Enter" || event.key === "F2") start(row, column, null);
    else if (event.key === "Delete" || event.key === "Backspace") start(row, column, "");
    else if (BEGINS.test(event.key)) start(row, column, event.key);
    else return false;
    event.preventDefault();
    return true;
  }

  /** A press: without moving it opens the cell, sideways it changes the number. @param {PointerEvent} event */
  grid.table.onpointerdown = (event) => {
    const cell = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.("td[data-r]"));
    if (!cell || event.button !== 0 || /** @type {Element} */ (event.target).tagName === "INPUT") return;
    const row = Number(cell.dataset.r);
    const column = Number(cell.dataset.c);
    if (!grid.matrix.editable) return;
    if (event.pointerType === "touch") {
      cell.onclick = () => {
        cell.onclick = null;
        start(row, column, null);
      };
      return; // a finger scrolls; the slider is its way to drag
    }
    event.preventDefault(); // no text selection
    grid.focus(row, column);
    const from = at(grid.matrix, row, column) ?? 0;
    let value = from;
    let moved = false;
    cell.setPointerCapture(event.pointerId);
    cell.onpointermove = (move) => {
      const way = move.clientX - event.clientX;
      if (!moved && Math.abs(way) < SLACK) return;
      moved = true;
      const now = dragged(from, way, move.shiftKey);
      if (now === value) return;
      value = now;
      app.pass(grid.matrix.id, row, column, value);
    };
    /** @param {boolean} keep */
    const end = (keep) => {
      cell.onpointermove = cell.onpointerup = cell.onpointercancel = null;
      if (!moved) start(row, column, null);
      else app.edit(grid.matrix.id, row, column, exact(keep ? value : from));
    };
    cell.onpointerup = () => end(true);
    cell.onpointercancel = () => end(false);
  };

  return {
    key,
    start,
    /** @param {number} row @param {number} column */
    isOpen: (row, column) => open !== null && open.row === row && open.column === column,
  };
}
