/**
 * The mask: first the map of who may read whom, for all tokens and with their names, then the followed query's own row.
 *
 * @typedef {import("../steps.js").Steps} Steps
 */
import { h } from "../../base/dom.js";
import { base, fetched } from "../fetched.js";
import { token } from "../lanes.js";
import { matrixFigure } from "../matrices.js";

/** So many tokens have their names beside a map: of more they would not be read. */
const MOST_NAMES = 40;

/** The masked scores of all tokens. @param {Steps} app */
export function map(app) {
  const path = `${base(app)}/matrix/mask`;
  /** @type {import("../packs").MatricesPack | null} */
  const pack = app.meta.exact ? fetched(app, path) : null;
  if (app.failed === path || !app.meta.exact) return null;
  const { queries, keys } = app.meta;
  const few = queries.length <= MOST_NAMES && keys.length <= MOST_NAMES;
  const picture = pack && matrixFigure(app, pack.meta.matrices[1], pack.arrays.m1);
  const masked = pack ? count(pack.arrays.m1.data) : 0;
  picture?.querySelector("figcaption")?.remove();
  /** @param {import("../packs").Token[]} tokens @param {number} here @param {string} role */
  const names = (tokens, here, role) =>
    few
      ? h(
          "span",
          { class: "sl-names", "data-role": role, "aria-hidden": "true" },
          ...tokens.map((one, i) => h("bdi", { "data-here": i === here }, one.t)),
        )
      : null;
  return h(
    "section",
    { class: "sl-map-of", "aria-label": "Who may read whom", "data-testid": "sl-mask-map" },
    h("h3", null, "Who may read whom, all tokens at once"),
    h(
      "div",
      { class: "sl-scroll", tabindex: "0", role: "region", "aria-label": "The map" },
      h(
        "div",
        {
          class: "sl-named-map",
          "data-named": few,
          style: `--rows:${queries.length};--columns:${keys.length}`,
        },
        h("span", { class: "sl-corner sl-second" }, "row looks at column"),
        names(keys, app.key, "key"),
        names(queries, app.meta.query, "query"),
        picture ?? h("span", { class: "sl-second" }, "…"),
      ),
    ),
    h(
      "p",
      { class: "sl-second" },
      masked
        ? h("span", null, h("i", { class: "sl-hatched sl-swatch", "aria-hidden": "true" }), " may not be read. ")
        : null,
      "Coloured: the score as softmax sees it. The framed row is ",
      token(app, "query"),
      ", whose numbers stand below.",
    ),
  );
}

/** How many cells are masked. @param {ArrayLike<number>} cells */
function count(cells) {
  let n = 0;
  for (let i = 0; i < cells.length; i++) if (cells[i] !== cells[i]) n++;
  return n;
}
