/**
 * After the last step: where the vector goes from here.
 *
 * @typedef {import("../steps.js").Steps} Steps
 */
import { h } from "../../base/dom.js";
import { token } from "../lanes.js";

/** @param {Steps} app */
export function onward(app) {
  const next = nextLayer(app);
  const says = h(
    "button",
    { type: "button", "data-focus": "says", "data-testid": "sl-to-says", onclick: () => app.explore() },
    "See what the model says in the end",
  );
  return h(
    "section",
    { class: "sl-onward", "aria-label": "Where it goes from here", "data-testid": "sl-onward" },
    h(
      "p",
      null,
      "The feed-forward part of the layer works on the vector of ",
      token(app, "query"),
      " alone, reads no other token, and adds to it too. ",
      next === null
        ? "This is the last layer: what the model says is made of the vectors that come out of it."
        : "Then the next layer reads it, and does all of this again.",
    ),
    h(
      "p",
      { class: "sl-stepping" },
      next === null
        ? null
        : h(
            "button",
            {
              type: "button",
              class: "sl-primary",
              "data-focus": "onward",
              "data-testid": "sl-onward-layer",
              onclick: () => app.beginAgain(next),
            },
            `Follow it into ${app.data.layers[next].label} →`,
          ),
      says,
    ),
  );
}

/** The next layer that reads the same token; null after the last. @param {Steps} app */
function nextLayer(app) {
  const { layers } = app.data;
  const next = app.meta.layer + 1;
  if (next >= layers.length) return null;
  const encoder = (/** @type {number} */ layer) => layers[layer].label.startsWith("encoder");
  return encoder(next) === encoder(app.meta.layer) ? next : null;
}
