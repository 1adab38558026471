/**
 * What the stories are told with: named strips, tokens in their colours, what the colours of a strip mean.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";

/** A token in its colour. @param {Steps} app @param {"query" | "key"} which */
export function token(app, which) {
  const text = which === "query" ? app.queryToken : app.keys[app.key].t;
  return h("bdi", { class: `sl-name sl-${which}` }, text);
}

/**
 * A named strip.
 * @param {string} name
 * @param {Node} picture
 * @param {string} [role]
 * @param {Node | string | null} [says]
 */
export function lane(name, picture, role = "", says = null) {
  return h(
    "div",
    { class: "sl-row", "data-role": role || null },
    h("span", { class: "sl-row-name" }, name),
    picture,
    says ? h("span", { class: "sl-row-says" }, says) : null,
  );
}

/** @param {Steps} app */
export function legend(app) {
  return h(
    "p",
    { class: "sl-second sl-signed" },
    "negative ",
    h("span", { class: "sl-scale", "aria-hidden": "true" }),
    " positive; one cell for each component",
    app.meta.opens.some((name) => app.step.makes.includes(name)) ? ", a click shows the products behind it" : "",
  );
}
