/**
 * Every head of the page as a table for other programs: a row for each, a column for every metric.
 *
 * @typedef {import("./data.js").Heads} Heads
 */
import { download } from "../base/save.js";

/** As many as a number in 32 bits has: read again, it is the same. */
const DIGITS = 9;

/** Hand the table over. @param {Heads} heads */
export function save(heads) {
  download(new Blob([headsCsv(heads)], { type: "text/csv" }), "sightline-heads.csv");
}

/**
 * Comma-separated, with a line of names; a number that has no meaning for a head is left empty.
 * @param {Heads} heads
 */
export function headsCsv(heads) {
  const names = ["stack", "kind", "layer", "head", "label", ...heads.choices.map(({ name }) => name)];
  const rows = heads.places.map(({ i, layer, head }) => {
    const { stack, kind, index } = heads.layers[layer];
    const label = heads.cards ? heads.nameOfLabel(i) : "";
    const values = heads.choices
      .map(({ name }) => heads.value(name, i))
      .map((x) => (x === x ? String(Number(x.toPrecision(DIGITS))) : ""));
    return [stack, kind, index, head, label, ...values];
  });
  return [names, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** @param {string | number} value */
function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
