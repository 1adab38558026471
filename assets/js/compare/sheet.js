/** The comparison as a table for other programs: a line for each cell of the two heads. */
import { download } from "../base/save.js";
import { MASKED, NOT_THERE } from "./cells.js";

/** As many as a number in 32 bits has: read again, it is the same. */
const DIGITS = 9;

/** @param {import("./cells.js").Cells} cells @param {string} name */
export function save(cells, name) {
  download(new Blob([cellsCsv(cells)], { type: "text/csv" }), `${name}.csv`);
}

/**
 * Comma-separated, with a line of names; a number that a side has not is left empty, and `note` says why.
 * @param {import("./cells.js").Cells} cells
 */
export function cellsCsv(cells) {
  const lines = [["row_a", "row_b", "column_a", "column_b", "a", "b", "a_minus_b", "note"]];
  cells.rows.forEach((row, q) =>
    cells.columns.forEach((column, k) => {
      const { a, b, difference, ofA, ofB } = cells.at(q, k);
      const notes = [noteOf(ofA, "A"), noteOf(ofB, "B")].filter(Boolean);
      const words = [row.a, row.b, column.a, column.b].map((word) => word ?? "");
      lines.push([...words, number(a), number(b), number(difference), notes.join("; ")]);
    }),
  );
  return lines.map((line) => `${line.map(quote).join(",")}\r\n`).join("");
}

/** @param {number} kind @param {string} name */
function noteOf(kind, name) {
  return kind === NOT_THERE ? `not in ${name}` : kind === MASKED ? `masked in ${name}` : "";
}

/** @param {number} x */
function number(x) {
  return x === x ? String(Number(x.toPrecision(DIGITS))) : "";
}

/** @param {string} text */
function quote(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
