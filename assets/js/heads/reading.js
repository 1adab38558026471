/**
 * What all numbers of the page are of: the weights, or what each key really adds.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";

const SAYS = {
  weights: "All numbers are of the weights a.",
  norm:
    "All numbers are of ‖a·v·W_O‖, what each key really adds, as a share of its row, not of the weights " +
    "(Kobayashi et al. 2020). Labels, rollout and flow stay with the weights.",
};

/** @param {HeadsView} app */
export function createReading(app) {
  const buttons = /** @type {const} */ ([
    [false, "Weights"],
    [true, "Norm-based: ‖a·v·W_O‖"],
  ]).map(([norm, title]) =>
    h(
      "button",
      {
        type: "button",
        "data-testid": norm ? "sl-heads-norm" : "sl-heads-weights",
        onclick: () => app.setByNorm(norm),
      },
      title,
    ),
  );
  const note = h("p", { class: "sl-second", "data-testid": "sl-heads-reading" });
  const element = h(
    "div",
    { class: "sl-heads-reading" },
    h("span", { class: "sl-modes", role: "group", "aria-label": "What the numbers are of" }, ...buttons),
    note,
  );
  return {
    element,
    draw() {
      element.hidden = !app.data.can_by_norm;
      buttons.forEach((button, at) => mark(button, "aria-pressed", String(Boolean(at) === app.byNorm)));
      say(note, SAYS[app.data.by_norm ? "norm" : "weights"]);
    },
  };
}
