/**
 * How a score looks wherever it is drawn: its colour, and how its curve is dashed.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */

/** A curve's class by the score's place; also how it is dashed. */
export const CLASSES = ["sl-one-score", "sl-two-score", "sl-three-score"];

/** The class of the score that a moment is about; the loss's if of none. @param {Grow} app @param {string} name */
export function classOf(app, name) {
  const at = app.run?.facts.scores.findIndex((score) => score.name === name) ?? -1;
  return at < 0 ? "sl-loss" : CLASSES[at % CLASSES.length];
}
