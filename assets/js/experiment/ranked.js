/**
 * The heads by the size of their effect: the first ten, each a button, and all of them as a table.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 */
import { exchange, h, mark, say } from "../base/dom.js";
import { count } from "../base/words.js";
import { signed, unitOf } from "./words.js";

const SHOWN = 10;

/** @param {ExperimentView} app */
export function createRanked(app) {
  const list = h("ol", { class: "sl-exp-list", "data-testid": "sl-exp-ranked" });
  const body = h("tbody", null);
  const unit = h("th", { scope: "col" });
  const all = h(
    "details",
    { "data-testid": "sl-exp-all" },
    h("summary", null, "All of them, as a table"),
    h(
      "div",
      { class: "sl-table", tabindex: "0", role: "region", "aria-label": "Every head and its effect" },
      h(
        "table",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("th", { scope: "col" }, "rank"),
            h("th", { scope: "col" }, "head"),
            unit,
            h("th", { scope: "col" }, "beside chance"),
          ),
        ),
        body,
      ),
    ),
  );
  const empty = h("p", { class: "sl-second" }, "No head has been switched off yet.");
  const element = h(
    "section",
    { class: "sl-exp-ranked", "aria-label": "Largest effects first" },
    h("h2", null, "Largest effects first"),
    list,
    all,
    empty,
  );
  let made = "";

  list.onclick = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) app.choose(Number(button.dataset.i), "list");
  };
  list.onpointerover = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    app.hover(button ? Number(button.dataset.i) : null);
  };
  list.onpointerleave = () => app.hover(null);

  function draw() {
    const { heads, swept } = app;
    if (!heads) return;
    empty.hidden = heads.n > 0;
    list.hidden = all.hidden = !heads.n;
    const { top, ranked } = heads;
    const wanted = `${app.sourceKey}|${heads.chance}|${[...heads.effects].join()}`;
    if (made === wanted) return marks();
    made = wanted;
    say(unit, `after − before, ${unitOf(swept?.unit ?? "")}`);
    exchange(
      list,
      ...ranked.slice(0, SHOWN).map((i, rank) => {
        const x = heads.effects[i];
        const bar = h("span", { class: "sl-exp-bar", "data-sign": x < 0 ? "−" : "+" });
        bar.style.setProperty("--share", String(top ? Math.abs(x) / top : 0));
        return h(
          "li",
          null,
          h(
            "button",
            { type: "button", "data-i": i, "aria-label": `${rank + 1}: ${app.says(i)}` },
            h("span", { class: "sl-mono sl-name" }, heads.places[i].name),
            h("span", { class: "sl-exp-track", "aria-hidden": "true" }, bar),
            h("span", { class: "sl-mono sl-number" }, signed(x)),
            h("span", { class: "sl-second sl-exp-than" }, beside(heads.beyond(i))),
          ),
        );
      }),
    );
    say(/** @type {Node} */ (all.firstElementChild), `All ${count(ranked.length)} of them, as a table`);
    body.replaceChildren(
      ...ranked.map((i, rank) =>
        h(
          "tr",
          null,
          h("td", { class: "sl-number" }, String(rank + 1)),
          h("th", { scope: "row", class: "sl-mono" }, heads.places[i].name),
          h("td", { class: "sl-number" }, signed(heads.effects[i])),
          h("td", null, beside(heads.beyond(i)) || "not compared"),
        ),
      ),
    );
    marks();
  }

  function marks() {
    for (const button of list.querySelectorAll("button")) {
      mark(button, "aria-current", Number(button.dataset.i) === app.selected);
      mark(button, "data-hovered", Number(button.dataset.i) === app.hovered);
    }
  }

  return { element, draw, marks };
}

/** @param {boolean | null} beyond */
function beside(beyond) {
  return beyond === null ? "" : beyond ? "● beyond chance" : "inside chance";
}
