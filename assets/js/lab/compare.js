/**
 * The consequence of the switches: the weights as they are beside the weights with everything standard.
 *
 * @typedef {{label: string, unit: string, yours: number | null, standard: number | null}} Fact
 * @typedef {{switched: boolean, sentences: string[], standard: import("./numbers.js").Matrix[], facts: Fact[][]}}
 *   Comparison by head
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";
import { labelOf } from "./flow.js";
import { createGrid } from "./grid.js";

/** A figure with its unit; small ones keep two figures. @param {number | null} x @param {string} unit */
export function figure(x, unit) {
  if (x === null) return "none";
  const size = Math.abs(x);
  const text =
    size !== 0 && size < 0.001 ? x.toExponential(1).replace("e-", "e−") : x.toFixed(size !== 0 && size < 0.1 ? 4 : 3);
  return `${text.replace(/^-/, "−")}${unit ? ` ${unit}` : ""}`;
}

/** @param {Lab} app */
export function createCompare(app) {
  const sentences = h("div", { class: "lab-sentences", role: "status" });
  const yours = createGrid(app, "yours");
  const standard = createGrid(app, "standard");
  const body = h("tbody", null);
  const second = h("th", { scope: "col" }, "standard");
  const table = h(
    "table",
    { class: "lab-facts" },
    h("caption", { class: "sl-quiet" }, "Numbers of the weights"),
    h("thead", null, h("tr", null, h("td", null), h("th", { scope: "col" }, "here"), second)),
    body,
  );
  const maps = h("div", { class: "lab-matrices" }, yours.element, standard.element, table);
  const title = h("h3", null, "");
  const element = h(
    "section",
    {
      class: "lab-panel lab-compare",
      "data-place": "compare",
      tabindex: "-1",
      "aria-label": "Beside the standard",
      "data-testid": "lab-compare",
    },
    title,
    sentences,
    maps,
  );
  return {
    element,
    draw() {
      const { compare } = app.data;
      const weights = app.found.get(`weights:${app.head}`);
      const usual = compare.standard[Math.min(app.head, compare.standard.length - 1)];
      if (!weights || !usual) return;
      const { switched } = compare;
      mark(element, "data-switched", switched);
      maps.style.setProperty("--label", `${labelOf([...app.data.words])}`);
      say(title, switched ? "Beside the standard" : "The weights in numbers");
      const texts = switched
        ? compare.sentences
        : ["Every switch is standard. Flip one above: its consequence appears here, beside these."];
      if (sentences.textContent !== texts.join(""))
        sentences.replaceChildren(...texts.map((text) => h("p", null, text)));
      yours.element.hidden = standard.element.hidden = second.hidden = !switched;
      if (switched)
        for (const [grid, from, symbol, name] of /** @type {const} */ ([
          [yours, weights, "here", "weights with the switches as they are"],
          [standard, usual, "standard", "weights with every switch standard"],
        ])) {
          const matrix = {
            ...from,
            id: grid === yours ? "yours" : "standard",
            symbol,
            title: name,
            formula: "",
            made: undefined,
          };
          app.found.set(matrix.id, matrix);
          app.grids.set(matrix.id, grid);
          grid.update(matrix);
        }
      const facts = compare.facts[app.head] ?? [];
      body.replaceChildren(
        ...facts.map(({ label, unit, yours: here, standard: there }) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, label),
            h("td", null, figure(here, unit)),
            switched ? h("td", null, figure(there, unit)) : null,
          ),
        ),
      );
    },
  };
}
