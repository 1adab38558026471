/**
 * Ask the server for a step, and for the mark of an answer. What it refuses comes as an error with its sentence.
 *
 * @typedef {import("./told.d.ts").Place} Place
 */
import { appRoot } from "../base/addresses.js";

const NO_ANSWER = "The server does not answer. Try again in a moment.";

/** The step that a place names. @param {Place} place @param {AbortSignal} signal
 * @returns {Promise<import("./told.d.ts").Seen>} */
export function askStep(place, signal) {
  return ask("step", body(place), signal);
}

/** What an answer is worth; null: what is so. @param {Place} place @param {import("./told.d.ts").Answer} answer
 * @param {AbortSignal} signal @returns {Promise<import("./told.d.ts").Marked>} */
export function askMark(place, answer, signal) {
  return ask("mark", { ...body(place), answer }, signal);
}

/** @param {Place} place */
const body = ({ lesson, part, own }) => ({ lesson, step: part - 1, own });

/** @param {string} what @param {object} asked @param {AbortSignal} signal */
async function ask(what, asked, signal) {
  let response;
  try {
    response = await fetch(new URL(`sightline/learn/${what}`, appRoot()), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
      signal,
    });
  } catch (error) {
    throw signal.aborted ? error : new Error(NO_ANSWER);
  }
  if (response.status === 204) throw new Error(NO_ANSWER);
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || NO_ANSWER);
  return told;
}
