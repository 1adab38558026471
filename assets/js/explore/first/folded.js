/**
 * The button behind which the options are folded, with how many are on.
 *
 * @typedef {import("../app.js").App} App
 */
import { h, say } from "../../base/dom.js";

export const NAMES = /** @type {const} */ ([
  "hide_special",
  "hide_first",
  "renormalise",
  "words",
  "by_norm",
  "per_head_scale",
]);

/** The options that this picture has. @param {Pick<App, "following" | "inline">} app */
export function available({ following, inline }) {
  const can = /** @type {Record<string, boolean | undefined>} */ (following.can ?? {});
  return NAMES.filter((name) => name === "per_head_scale" || (!inline && can[name] !== false));
}

/** @param {App} app */
export function createFolded(app) {
  const button = h("button", {
    type: "button",
    "data-testid": "sl-options",
    "aria-expanded": "false",
    title: "Hide tokens, renormalise rows, what is shown of a weight, colours",
  });
  const panel = h("div", { class: "sl-pop sl-options", role: "group", "aria-label": "Options", hidden: true });
  const element = h("span", { class: "sl-anchor" }, button, panel);
  app.popover(button, panel);
  /** @type {Promise<typeof import("./options.js")> | undefined} */
  let coming;
  let drawBoxes = () => {};
  let filled = "";
  button.addEventListener("click", refresh);

  /** Make the boxes when the panel is open, and again when another picture has others. */
  function refresh() {
    const names = available(app).join();
    if (panel.hidden || filled === names) return drawBoxes();
    coming ??= import("./options.js");
    coming.then(({ fill }) => {
      filled = names;
      drawBoxes = fill(app, panel);
      drawBoxes();
    });
  }

  function draw() {
    const names = available(app);
    const on = names.filter((name) => app.options[name]).length;
    say(button, on ? `Options · ${on} on ▾` : "Options ▾");
    refresh();
  }

  return { element, draw };
}
