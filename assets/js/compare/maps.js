/**
 * Three maps under one cursor: A, B and A − B on the same rows and columns.
 *
 * @typedef {import("./compare.js").CompareView} CompareView
 */
import { labelOf } from "./cells.js";
import { drawDifference, drawSide } from "./painting.js";
import { h, mark, say } from "../base/dom.js";
import { context } from "../base/paint.js";
import { active } from "../base/selection.js";
import { drawMarkedLabels, frame } from "../picture/cells.js";
import { actionOf, listen } from "../picture/gestures.js";
import { isWhole, reveal, wholeView, zoom } from "../picture/layout.js";
import { createStage } from "../picture/stage.js";

export const SIDES = /** @type {const} */ (["a", "b", "both"]);

/** @param {CompareView} app */
export function createMaps(app) {
  /** @type {import("../picture/layout.js").View | null} */
  let view = null;
  let shape = "";
  const maps = SIDES.map((side) => createMap(app, side, ground));
  const bar = h("span", { class: "sl-cmp-bar", "aria-hidden": "true" });
  const ends = [h("span", { class: "sl-mono" }), h("span", { class: "sl-mono" })];
  const own = h("input", { type: "checkbox", onchange: () => app.setOwnScale(own.checked) });
  const whole = h("button", { type: "button", onclick: () => setView(wholeView(...counts())) }, "Whole matrix");
  const legend = h(
    "p",
    { class: "sl-cmp-legend" },
    ends[0],
    bar,
    ends[1],
    h("span", null, "upright lines: only one side has it; slanted: masked"),
    h("label", { class: "sl-toggle" }, own, "scale to the largest difference"),
    whole,
  );
  const element = h(
    "section",
    { class: "sl-cmp-maps", "aria-label": "Both heads and their difference" },
    h("div", { class: "sl-cmp-three" }, ...maps.map((map) => map.element)),
    legend,
  );

  function ground() {
    return { view, setView, zoomBy, counts };
  }

  /** @returns {[number, number]} */
  function counts() {
    return [app.cells?.nRows ?? 0, app.cells?.nColumns ?? 0];
  }

  /** @param {import("../picture/layout.js").View} next */
  function setView(next) {
    view = next;
    paint();
    cross();
  }

  /** @param {number} factor @param {{query: number, key: number} | null} [about] */
  function zoomBy(factor, about = null) {
    if (!view) return;
    const at = active(app.selection);
    const centre = about ?? {
      query: at?.query != null ? at.query + 0.5 : view.q0 + view.q / 2,
      key: at?.key != null ? at.key + 0.5 : view.k0 + view.k / 2,
    };
    setView(zoom(view, factor, centre, ...counts()));
  }

  /** @param {boolean} [measure] */
  function paint(measure = false) {
    const { cells } = app;
    if (!cells) return;
    const now = counts().join("x");
    if (shape !== now || !view) view = wholeView(...counts());
    shape = now;
    const top = app.top;
    say(ends[0], `−${top.toFixed(2)} more in B`);
    say(ends[1], `+${top.toFixed(2)} more in A`);
    own.checked = app.ownScale;
    whole.hidden = isWhole(view, ...counts());
    for (const map of maps) map.paint(view, measure);
  }

  function cross() {
    if (view) for (const map of maps) map.cross(view);
  }

  return {
    element,
    draw() {
      paint(true);
      cross();
    },
    cross,
    focus: () => maps[0].stage.focus(),
    get stage() {
      return maps[0].stage;
    },
    /** Bring the marked cell into a zoomed view. */
    reveal() {
      const at = active(app.selection);
      if (!at || !view || isWhole(view, ...counts())) return;
      const next = reveal(view, at, ...counts());
      if (next !== view) setView(next);
    },
    key(/** @type {string} */ key) {
      if (key === "+" || key === "=") zoomBy(2);
      else if (key === "-") zoomBy(0.5);
      else if (key === "0") setView(wholeView(...counts()));
      else return false;
      return true;
    },
  };
}

/**
 * @param {CompareView} app
 * @param {typeof SIDES[number]} side
 * @param {() => {view: import("../picture/layout.js").View | null, setView: (view: import("../picture/layout.js").View)
 *   => void, zoomBy: (factor: number, about?: {query: number, key: number} | null) => void, counts: () => [number,
 *   number]}} ground
 */
function createMap(app, side, ground) {
  const letter = { a: "A", b: "B", both: "A − B" }[side];
  const place = createStage("sl-cmp-stage", {
    "aria-roledescription": "heatmap",
    "data-testid": `sl-cmp-${side}`,
  });
  const { element: stage, base, over } = place;
  const title = h("span", { class: "sl-cmp-title" });
  const element = h(
    "figure",
    { class: "sl-cmp-map", "data-side": side },
    h("figcaption", null, h("span", { class: "sl-cmp-letter" }, letter), " ", title),
    stage,
  );
  const scratch = document.createElement("canvas");
  /** @type {import("../picture/layout.js").HeatmapGeometry | null} */
  let g = null;
  /** @type {{t: string}[]} */
  let queries = [];
  /** @type {{t: string}[]} */
  let keys = [];

  listen(stage, {
    shown: () => {
      const { view } = ground();
      return view && g && { view, plot: g.plot };
    },
    counts: () => ground().counts(),
    under: (event) => {
      const { view, counts } = ground();
      return g && view ? place.under(event, g, view, ...counts()) : null;
    },
    setView: (view) => ground().setView(view),
    zoomBy: (factor, about) => ground().zoomBy(factor, about),
    dispatch: (action) => app.dispatch(action),
  });
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actionOf(event, active(app.selection), ...ground().counts());
    if (!action) return;
    event.preventDefault();
    app.dispatch(action);
  };

  /** @param {import("../picture/layout.js").View} view @param {boolean} measure */
  function paint(view, measure) {
    const cells = /** @type {import("./cells.js").Cells} */ (app.cells);
    const { theme, diverging } = app;
    queries = cells.rows.map((row) => ({ t: labelOf(row, side) }));
    keys = cells.columns.map((column) => ({ t: labelOf(column, side) }));
    if (measure || !g) {
      const [nQuery, nKey] = [cells.nRows, cells.nColumns];
      // The longest labels of the three: all maps are then of one size, and a cell stands where it does in the others.
      const names = [cells.rows, cells.columns].map((places) => places.map((one) => labelOf(one, "both") ?? ""));
      const width = place.width;
      g = place.geometry(theme, names[0], names[1], {
        width,
        maxHeight: Math.max(width * 1.1, 260),
        nQuery,
        nKey,
        tail: Math.ceil(nKey / 12),
      });
    }
    const ctx = context(base, g.width, g.height);
    const map = { theme, cells, view, scratch };
    if (side === "both") drawDifference(ctx, { ...map, diverging, top: app.top }, g, queries, keys);
    else drawSide(ctx, map, side, g, queries, keys);
    say(title, app.titleOf(side));
    mark(
      stage,
      "aria-label",
      `${letter}, ${app.titleOf(side)}: ${cells.nRows} rows look at ${cells.nColumns} columns. ` +
        "Arrow keys move the cell in all three, Enter pins it, Escape releases.",
    );
  }

  /** @param {import("../picture/layout.js").View} view */
  function cross(view) {
    if (!g || !app.cells) return;
    const { selection, theme } = app;
    const ctx = context(over, g.width, g.height);
    const painter = { theme, queries, keys };
    const now = active(selection);
    if (selection.pin && selection.pin !== now) frame(ctx, painter, g, view, selection.pin, true);
    if (now) frame(ctx, painter, g, view, now, now === selection.pin);
    if (now) drawMarkedLabels(ctx, painter, view, g, now);
    mark(stage, "data-cell", now ? `${now.query ?? "-"}/${now.key ?? "-"}` : null);
  }

  return { element, stage, paint, cross };
}
