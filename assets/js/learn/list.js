/**
 * The list of lessons: what each turns, how long it takes, how far one is.
 *
 * @typedef {import("./told.d.ts").Lesson} Lesson
 */
import { h } from "../base/dom.js";
import { answered } from "./progress.js";

/** @param {Lesson[]} lessons @param {(lesson: string, part: number) => void} open */
export function createList(lessons, open) {
  return h(
    "div",
    { class: "sl-learn-list" },
    h("h2", { tabindex: "-1" }, "Predict, then look"),
    h(
      "p",
      null,
      "Each lesson asks before it shows. What you say is marked from the model’s own numbers for the sentence in " +
        "front of you; nothing is stored but in your browser.",
    ),
    h("ol", { class: "sl-learn-lessons" }, ...lessons.map((lesson) => card(lesson, open))),
  );
}

/** @param {Lesson} lesson @param {(lesson: string, part: number) => void} open */
function card(lesson, open) {
  const parts = Object.keys(answered(lesson.id)).map(Number);
  const done = parts.filter((part) => part <= lesson.steps).length;
  const next = Array.from({ length: lesson.steps }, (_, i) => i + 1).find((part) => !parts.includes(part)) ?? 1;
  return h(
    "li",
    { "data-lesson": lesson.id },
    h("h3", null, lesson.title),
    h("p", null, h("span", { class: "sl-second" }, "A belief that it tests: "), `“${lesson.turns}”`),
    h(
      "p",
      { class: "sl-second" },
      `${lesson.minutes} minutes, ${lesson.steps} steps`,
      done ? `, ${done} answered` : "",
      lesson.needs.length ? `. Builds on: ${lesson.needs.map(({ title }) => title).join(", ")}` : "",
      ".",
    ),
    h(
      "button",
      {
        type: "button",
        class: "sl-primary",
        "aria-label": `${label(done, lesson.steps)}: ${lesson.title}`,
        onclick: () => open(lesson.id, next),
      },
      label(done, lesson.steps),
    ),
  );
}

/** @param {number} done @param {number} steps */
const label = (done, steps) => (done === 0 ? "Begin" : done < steps ? "Go on" : "Begin again");
