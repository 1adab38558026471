/**
 * Effects in words: the same sentence for the eye, the ear and the table.
 *
 * @typedef {import("./told").Swept} Swept
 * @typedef {import("./told").Plain} Plain
 */

const LOGS = ["log-probability", "difference of two log-probabilities", "log-probability of the text", "label"];

/** Two or three digits that mean something, a true minus. @param {number} x */
export function short(x) {
  const size = Math.abs(x);
  const text =
    size >= 100 ? x.toFixed(0) : size >= 1 ? x.toFixed(1) : size === 0 ? "0" : String(Number(x.toPrecision(2)));
  return text.replace("-", "−").replace(/e−?(\d+)$/, (found) => found);
}

/** With its sign. @param {number} x */
export function signed(x) {
  return `${x > 0 ? "+" : ""}${short(x)}`;
}

/** The unit as it is said after a number. @param {string} unit */
export function unitOf(unit) {
  return unit.split(",")[0];
}

/**
 * What an edit did, as the end of a sentence: "costs 7.3 nats".
 * @param {Plain} question @param {number | null} d  after − before @param {string} unit
 */
export function effect(question, d, unit) {
  if (d === null) return "does something that is no number";
  if (d === 0) return "changes nothing";
  const size = short(Math.abs(d));
  if (LOGS.includes(String(question.question))) return `${d < 0 ? "costs" : "gains"} ${size} ${unitOf(unit)}`;
  if (question.question === "divergence") return `changes the answer by ${size} nats`;
  if (question.question === "a token's own vector") return `turns the vector by ${size} (1 − cosine)`;
  return `makes it ${d < 0 ? "less" : "more"} alike by ${size}`;
}

/** What the head did for the answer, from what its absence does. @param {Plain} question @param {number | null} d */
export function role(question, d) {
  if (d === null || d === 0 || question.question === "divergence" || question.question === "a token's own vector")
    return "";
  return d < 0 ? "it works for the answer" : "it works against the answer";
}

/** The null in a few words. @param {number | null | undefined} level */
export function chance(level) {
  return level === null || level === undefined ? "" : `chance up to ${short(level)}`;
}

/**
 * What came of a sweep in a sentence.
 * @param {Swept} swept @param {(variant: import("./told").Variant) => string} nameOf
 */
export function verdict(swept, nameOf) {
  const all = swept.found.length;
  if (!swept.chance) return swept.why || "Not compared with chance yet: whether any of this is much cannot be said.";
  const { largest, n } = swept.chance;
  const beyond = swept.found.filter((one) => one.difference !== null && Math.abs(one.difference) > largest);
  const rule =
    `In 95 % of cases the largest of ${all} changes of the same lengths in random directions does at most ` +
    `${short(largest)} ${unitOf(swept.unit)} (${n} drawn).`;
  if (!beyond.length) return `No head is beyond what chance does. ${rule}`;
  const names = beyond
    .sort((a, b) => Math.abs(b.difference ?? 0) - Math.abs(a.difference ?? 0))
    .slice(0, 6)
    .map(nameOf);
  const rest = beyond.length > names.length ? ` and ${beyond.length - names.length} more` : "";
  return (
    `${beyond.length} of ${all} head${all === 1 ? "" : "s"} ${beyond.length === 1 ? "is" : "are"} beyond what chance ` +
    `does: ${names.join(", ")}${rest}. ${rule}`
  );
}
