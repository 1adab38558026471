/**
 * Layers × heads as a grid of cells that a keyboard walks and a reader names: whatever a head has one number of.
 *
 * @typedef {{title: string, layers: number[], nHeads: number}} Group layers of one kind, by their places
 * @typedef {object} Heads
 * @property {{index: number, n_heads: number}[]} layers
 * @property {Group[]} groups
 * @property {(layer: number, head: number) => number | null} indexOf
 */
import { h } from "../base/dom.js";

/**
 * The grid of one group, with its title where there are several.
 * @param {Heads} heads
 * @param {Group} group
 * @param {Map<number, HTMLElement>} cells where the cell of each head is put, by the head's place among all
 * @param {number} every how many heads go to one name above them
 * @param {string} does what the keys do, for a reader
 */
export function makeGrid(heads, group, cells, every, does) {
  const rows = group.layers.map((layer) =>
    h(
      "div",
      { role: "row", class: "sl-hm-row" },
      h(
        "span",
        { role: "rowheader", class: "sl-hm-name" },
        h("span", { class: "sl-quiet" }, "layer "),
        String(heads.layers[layer].index),
      ),
      ...Array.from({ length: heads.layers[layer].n_heads }, (_, head) => {
        const i = /** @type {number} */ (heads.indexOf(layer, head));
        const cell = h("div", {
          role: "gridcell",
          class: "sl-hm-cell",
          "data-i": i,
          "data-head": `${layer}.${head}`,
          tabindex: "-1",
        });
        cells.set(i, cell);
        return cell;
      }),
    ),
  );
  const names = h(
    "div",
    { role: "row", class: "sl-hm-row" },
    h(
      "span",
      { role: "columnheader", class: "sl-hm-name sl-hm-corner" },
      h("span", { class: "sl-quiet" }, "layer and head"),
    ),
    ...Array.from({ length: group.nHeads }, (_, head) =>
      h(
        "span",
        { role: "columnheader", class: "sl-hm-col" },
        h("span", { class: "sl-quiet" }, "head "),
        h("span", { class: head % every ? "sl-quiet" : null }, String(head)),
      ),
    ),
  );
  const grid = h(
    "div",
    {
      role: "grid",
      class: "sl-hm-grid",
      "aria-label": `${group.title}: rows are layers, columns are heads. ${does}`,
    },
    names,
    ...rows,
  );
  return h("div", null, heads.groups.length > 1 ? h("h3", null, group.title) : null, grid);
}
