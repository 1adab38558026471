/**
 * What the chosen preset shows, and its task, which ticks itself.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";

/** @param {Lab} app */
export function createCard(app) {
  const title = h("h2", null);
  const notice = h("p", { class: "lab-notice" });
  const tick = h("span", { class: "lab-tick", "aria-hidden": "true" });
  const words = h("span", null);
  const state = h("span", { class: "lab-state", role: "status" });
  const task = h("p", { class: "lab-task", "data-testid": "lab-task" }, tick, h("span", null, words, " ", state));
  const clue = h("p", null);
  const hint = h("details", { class: "lab-hint", hidden: true }, h("summary", null, "hint"), clue);
  let known = "";
  const element = h(
    "section",
    { class: "lab-card", "aria-label": "What to notice", "data-testid": "lab-card" },
    title,
    notice,
    task,
    hint,
  );
  return {
    element,
    draw() {
      const { preset, real } = app.data;
      hint.hidden = Boolean(real) || !preset?.hint || preset.done;
      if (known !== preset?.name) hint.open = false;
      known = preset?.name ?? "";
      say(clue, preset?.hint ?? "");
      if (real) {
        say(title, real.says);
        say(
          notice,
          ["The same formula as in the Lab’s small examples, on the model’s own numbers.", ...real.notes].join(" "),
        );
        task.hidden = false;
        mark(task, "data-done", null);
        say(tick, "");
        say(
          words,
          real.changed
            ? `${real.changed} cell${real.changed > 1 ? "s" : ""} changed.`
            : "Nothing is changed yet: the weights are the head’s own over these tokens.",
        );
        say(state, "");
        return;
      }
      say(title, preset?.title ?? "Your own");
      say(
        notice,
        preset?.notice ?? "Matrices from a link or of your own making. Choose a preset to see one idea at a time.",
      );
      task.hidden = !preset;
      if (!preset) return;
      mark(task, "data-done", preset.done);
      say(tick, preset.done ? "✓" : "○");
      say(words, `${preset.done ? "Done" : "Task"}: ${preset.task}`);
      say(state, preset.says);
    },
  };
}
