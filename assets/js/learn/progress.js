/**
 * Which steps were answered, in this browser alone: nothing of it is sent.
 *
 * @typedef {import("./told.d.ts").Verdict} Verdict
 */

const NAME = "sightline.learn";
const VERDICTS = ["right", "nearly", "no", "shown"];

/** @returns {Record<string, Record<string, Verdict>>} by lesson and part */
function all() {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? "{}");
    return kept && typeof kept === "object" && !Array.isArray(kept) ? kept : {};
  } catch {
    return {}; // no storage here, or something else under this name
  }
}

/** What came of a lesson's steps, by part. @param {string} lesson @returns {Record<string, Verdict>} */
export function answered(lesson) {
  const kept = all()[lesson];
  if (!kept || typeof kept !== "object") return {};
  return Object.fromEntries(Object.entries(kept).filter(([, verdict]) => VERDICTS.includes(verdict)));
}

/** @param {string} lesson @param {number} part @param {Verdict} verdict */
export function keep(lesson, part, verdict) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...all(), [lesson]: { ...answered(lesson), [part]: verdict } }));
  } catch {
    // a browser that keeps nothing: the lesson goes on
  }
}
