/**
 * What if it could look ahead? The mask is taken off in a run of the model, and what it then says stands beside.
 *
 * @typedef {import("../steps.js").Steps} Steps
 * @typedef {import("../packs").AheadPack} AheadPack
 */
import { h } from "../../base/dom.js";
import { base, fetched } from "../fetched.js";
import { token } from "../lanes.js";
import { bar } from "../parts.js";

/** A door where the mask hides something, and behind it the answer. @param {Steps} app */
export function lookingAhead(app) {
  const hidden = app.keys.some((_, j) => app.masked(j));
  if (!hidden || app.meta.kind !== "decoder self") return null;
  if (!app.ahead)
    return h(
      "p",
      null,
      h(
        "button",
        {
          type: "button",
          "data-focus": "ahead",
          "data-testid": "sl-ahead",
          onclick: () => {
            app.ahead = true;
            app.revealing = ".sl-ahead";
            app.draw();
          },
        },
        "What if it could look ahead?",
      ),
    );
  const path = `${base(app)}/ahead`;
  /** @type {AheadPack | null} */
  const pack = fetched(app, path);
  const section = (/** @type {boolean} */ whole, /** @type {(Node | null)[]} */ ...parts) =>
    h(
      "section",
      {
        class: "sl-ahead",
        "aria-label": "What if it could look ahead",
        "data-testid": "sl-ahead-answer",
        "data-whole": whole,
      },
      h("h3", null, "What if it could look ahead?"),
      ...parts,
    );
  if (app.failed === path) return section(true, h("p", { class: "sl-second" }, "This could not be tried."));
  if (!pack) return section(false, h("p", { class: "sl-second", role: "status" }, "The model runs without its mask …"));
  if (pack.meta.why_not) return section(true, h("p", null, pack.meta.why_not));
  return section(true, answer(app, pack.meta), ...beside(pack.meta));
}

/** @param {Steps} app @param {AheadPack["meta"]} meta */
function answer(app, { next, rows }) {
  return h(
    "div",
    { class: "sl-scroll", tabindex: "0", role: "region", "aria-label": "What the model says" },
    h(
      "table",
      { class: "sl-keys" },
      h("caption", null, "What the model says comes after ", token(app, "query")),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, ""),
          h("th", { scope: "col", class: "sl-wide" }, "chance of ", h("bdi", null, `“${next}”`), ", which comes next"),
          h("th", { scope: "col" }, "likeliest"),
        ),
      ),
      h(
        "tbody",
        null,
        ...rows.map(({ what, p, says }) =>
          h(
            "tr",
            null,
            h("th", { scope: "row", class: "sl-said" }, what),
            h(
              "td",
              { class: "sl-wide" },
              h("span", { class: "sl-barred" }, bar(p ?? 0, 1), h("span", { class: "sl-number" }, share(p))),
            ),
            h(
              "td",
              { class: "sl-said" },
              ...says
                .slice(0, 3)
                .flatMap(({ t, p: chance }, i) => [i ? ", " : "", h("bdi", null, `“${t}”`), ` ${share(chance)}`]),
            ),
          ),
        ),
      ),
    ),
  );
}

/** How much of it chance does. @param {AheadPack["meta"]} meta */
function beside({ rows }) {
  return rows
    .filter((row) => row.beside)
    .map((row) => h("p", { class: "sl-second" }, `${row.what[0].toUpperCase()}${row.what.slice(1)}: ${row.beside}`))
    .concat(h("p", { class: "sl-second" }, "Changes are compared in the logarithm of the chance."));
}

/** @param {number | null} p */
function share(p) {
  return p === null ? "not a number" : `${(100 * p).toFixed(1)} %`;
}
