/**
 * Where a heatmap is drawn: a canvas with cells and labels, one over it for the marks, and the cell that a pointer is
 * on.
 */
import { h } from "../base/dom.js";
import { cellAt, heatmapGeometry } from "./layout.js";
import { widestName } from "./cells.js";
import { font, widest } from "../base/paint.js";

/**
 * @param {string} name                      its class beside sl-stage, "" for none
 * @param {import("../base/dom.js").Attributes} attributes
 */
export function createStage(name, attributes) {
  const base = h("canvas", { "aria-hidden": "true" });
  const over = h("canvas", { class: "sl-over", "aria-hidden": "true" });
  const element = h(
    "div",
    { class: name ? `sl-stage ${name}` : "sl-stage", role: "application", tabindex: "0", ...attributes },
    base,
    over,
  );
  const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  return {
    element,
    base,
    over,
    get width() {
      return element.clientWidth || 320;
    },
    /**
     * Where plot and labels go.
     *
     * @param {import("../base/scale.js").Theme} theme @param {string[]} queries @param {string[]} keys  labels
     * @param {{width: number, maxHeight: number, nQuery?: number, nKey?: number, tail?: number}} room tail: of so many
     *   last keys the labels may lean out
     */
    geometry(theme, queries, keys, { width, maxHeight, nQuery = queries.length, nKey = keys.length, tail = nKey }) {
      ruler.font = font(theme);
      return heatmapGeometry({
        width,
        maxHeight,
        nQuery,
        nKey,
        queryLabel: widest(ruler, queries),
        keyLabel: widest(ruler, keys),
        keyTail: widest(ruler, keys.slice(-tail)),
        number: ruler.measureText(`${Math.max(nQuery, nKey) - 1} `).width,
        names: widestName(ruler, theme),
        size: theme.size,
      });
    },
    /**
     * The cell under a pointer.
     * @param {MouseEvent} event
     * @param {import("./layout.js").HeatmapGeometry} g
     * @param {import("./layout.js").View} view
     * @param {number} nQuery
     * @param {number} nKey
     */
    under(event, g, view, nQuery, nKey) {
      const box = base.getBoundingClientRect();
      return cellAt(g, view, event.clientX - box.left, event.clientY - box.top, nQuery, nKey);
    },
  };
}
