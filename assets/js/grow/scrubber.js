/**
 * The scrubber of Grow a head: Play, the saved step that is shown, and the moments to jump to.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, mark, say } from "../base/dom.js";
import { nearest } from "./curves.js";
import { classOf } from "./classes.js";

/** Play, the scrubber itself, and the moments to jump to. @param {Grow} app */
export function createScrubber(app) {
  const play = h("button", {
    type: "button",
    class: "sl-grow-play",
    "data-testid": "sl-play",
    onclick: () => app.play(),
  });
  const range = h("input", {
    type: "range",
    min: "0",
    step: "1",
    "aria-label": "Step of training",
    "data-testid": "sl-scrub",
    oninput: () => app.goTo(Number(range.value)),
    onpointerdown: () => app.pause(),
  });
  const at = h("output", { class: "sl-grow-at", "aria-live": "off", "data-testid": "sl-at" });
  const moments = h("div", { class: "sl-grow-moments", role: "group", "aria-label": "Jump to a moment" });
  const element = h("div", { class: "sl-grow-scrub" }, play, range, at, moments);
  let drawn = "";
  return {
    element,
    draw() {
      const run = /** @type {import("./run.js").Run} */ (app.run);
      const i = app.index;
      range.max = String(Math.max(run.saved - 1, 0));
      range.value = String(i);
      const step = run.steps[i];
      const loss = run.loss[i];
      mark(range, "aria-valuetext", `step ${step}${loss === loss ? `, loss ${loss.toFixed(2)} nats` : ""}`);
      say(at, `step ${step.toLocaleString("en")} of ${run.facts.n_steps.toLocaleString("en")}`);
      say(play, app.playing ? "❚❚ Pause" : "▶ Play");
      const found = run.facts.moments;
      const key = JSON.stringify(found);
      if (key !== drawn) {
        drawn = key;
        moments.replaceChildren(
          h("button", { type: "button", "data-moment": "start", onclick: () => app.jump(0) }, "start"),
          ...found.map((moment) =>
            h(
              "button",
              { type: "button", "data-moment": moment.name, onclick: () => app.jumpTo(moment.step) },
              h("span", { class: `sl-grow-dot ${classOf(app, moment.name)}`, "aria-hidden": "true" }),
              `${moment.title}, ${moment.step.toLocaleString("en")}`,
            ),
          ),
          h("button", { type: "button", "data-moment": "end", onclick: () => app.jump(Infinity) }, "end"),
        );
      }
      const here = found.filter((moment) => nearest(run.steps, moment.step) === i).map((moment) => moment.name);
      for (const button of moments.children)
        mark(
          button,
          "data-here",
          here.includes(/** @type {HTMLElement} */ (button).dataset.moment ?? "") ||
            (i === 0 && button === moments.firstChild) ||
            (i === run.saved - 1 && button === moments.lastChild),
        );
    },
  };
}
