/**
 * Every effect as a table for other programs.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 */
import { download } from "../base/save.js";
import { everyHead } from "./data.js";

/** As many as a number in 64 bits has: read again, it is the same. */
const DIGITS = 17;

/** Hand the table over. Throws with a sentence where there is none yet. @param {ExperimentView} app */
export function save(app) {
  if (!app.swept?.found.length) throw new Error("Switch the heads off first: there are no effects yet.");
  download(new Blob([effectsCsv(app.swept)], { type: "text/csv" }), "sightline-effects.csv");
}

/** The program that makes the same numbers. @param {ExperimentView} app */
export async function saveScript(app) {
  const query = new URLSearchParams({ of: JSON.stringify(everyHead(app.fill)) });
  if (app.question) query.set("question", JSON.stringify(app.question));
  const answer = await app.source?.answer(`experiment/sweep/script.py?${query}`);
  if (answer) download(await answer.blob(), "sightline-experiment.py");
}

/**
 * Comma-separated, with a line of names. What was asked, before, and what chance does stand in every row, so that none
 * of them is lost when rows are moved.
 * @param {import("./told").Swept} swept
 */
export function effectsCsv({ found, question, unit, before, chance }) {
  const names = [
    "layer",
    "head",
    "edited",
    "difference",
    "unit",
    "before",
    "chance_largest",
    "beyond_chance",
    "question",
  ];
  const asked = JSON.stringify(question);
  const rows = found.map(({ layer, head, words, difference }) => [
    layer ?? "",
    head ?? "",
    words,
    number(difference),
    unit,
    number(before),
    number(chance?.largest ?? null),
    chance && difference !== null ? String(Math.abs(difference) > chance.largest) : "",
    asked,
  ]);
  return [names, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** @param {number | null} x */
function number(x) {
  return x === null ? "" : String(Number(x.toPrecision(DIGITS)));
}

/** @param {string | number} value */
function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
