/**
 * One step of a lesson: what to look at, a prediction, what is so, the way on.
 *
 * @typedef {import("./told.d.ts").Lesson} Lesson
 * @typedef {import("./told.d.ts").Seen} Seen
 * @typedef {import("./told.d.ts").Answer} Answer
 * @typedef {import("./told.d.ts").Marked} Marked
 * @typedef {object} Does
 * @property {(answer: Answer) => void} give
 * @property {() => void} again
 * @property {(by: number) => void} go
 * @property {(own: string) => void} read  a sentence of one's own; "" for the lesson's
 * @property {() => void} list
 */
import { appRoot } from "../base/addresses.js";
import { h } from "../base/dom.js";
import { createControl } from "./controls.js";
import { createReveal } from "./reveal.js";

/** What stands above every step. @param {Lesson} lesson @param {number} part @param {Does} does */
export function createHead(lesson, part, does) {
  return h(
    "div",
    { class: "sl-learn-head" },
    h("button", { type: "button", class: "sl-plain", onclick: does.list }, "All lessons"),
    h("h2", { tabindex: "-1" }, `${lesson.title}: step ${part} of ${lesson.steps}`),
    h("progress", { max: lesson.steps, value: part, "aria-label": `Step ${part} of ${lesson.steps}` }),
  );
}

/**
 * @param {Seen} seen @param {{answer: Answer, marked: Marked} | null} given
 * @param {boolean} last @param {Does} does
 */
export function createStep(seen, given, last, does) {
  const { ask, say, stands, missing, open } = seen;
  const asked = ask !== null && !ask.why_not;
  const ways = h(
    "div",
    { class: "sl-learn-ways" },
    asked && !given && h("button", { type: "button", onclick: () => does.give(null) }, "Show me"),
    asked && given && h("button", { type: "button", onclick: does.again }, "Try again"),
    (given || !asked) &&
      (last
        ? h("button", { type: "button", class: "sl-primary", onclick: does.list }, "Finish")
        : h("button", { type: "button", class: "sl-primary", onclick: () => does.go(1) }, "Next")),
    // Before an answer it would be the answer; a head is looked for there.
    open && (given || !asked || ask.kind === "find-head") && link(open),
  );
  return h(
    "div",
    { class: "sl-learn-step" },
    h("blockquote", { class: "sl-learn-text" }, h("bdi", null, seen.text)),
    stands.length > 0 && h("p", { class: "sl-second" }, standing(stands)),
    ...(missing.length && !asked ? [] : say.map((sentence) => h("p", null, sentence))),
    ask && h("p", { class: "sl-learn-asks" }, ask.why_not ? "" : ask.asks),
    ask?.why_not && h("p", { class: "sl-learn-passed" }, `Passed over on this text: ${ask.why_not}`),
    asked && !given && createControl(ask, does.give),
    asked && given && createReveal(ask, given.answer, given.marked),
    ways,
  );
}

/** @param {[string, string][]} stands */
function standing(stands) {
  const pairs = stands.map(([word, token]) => `“${token}” for “${word}”`);
  const why = "Your text lacks a word of the lesson; words of this head’s strongest link are taken instead";
  return `${why}: ${pairs.join(", ")}.`;
}

/** @param {{title: string, address: string}} open */
function link({ title, address }) {
  const href = new URL(address, appRoot()).href;
  return h("a", { href, target: "_blank", rel: "noopener" }, `Open in ${title} (new tab)`);
}

/** A sentence of one's own. @param {string} own @param {number} longest @param {Does} does */
export function createOwn(own, longest, does) {
  const input = h("input", { type: "text", id: "sl-learn-own", maxlength: longest, value: own, autocomplete: "off" });
  return h(
    "details",
    { class: "sl-learn-own", open: Boolean(own) || null },
    h("summary", null, "A sentence of your own"),
    h(
      "form",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          does.read(input.value.trim());
        },
      },
      h("label", { for: "sl-learn-own" }, "The same lesson on your own sentence; empty: on the lesson’s."),
      input,
      h("button", { type: "submit" }, "Use it"),
    ),
  );
}
