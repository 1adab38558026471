/**
 * The heatmap of one head: queries down, keys across.
 *
 * The base canvas holds cells and labels and is painted when the head, the size or the zoom changes; a second canvas
 * over it holds the crosshair, so that hovering paints a few rectangles.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say } from "../base/dom.js";
import {
  drawBorders,
  drawCells,
  drawGrid,
  drawLabels,
  drawMarkedLabels,
  drawNumbers,
  drawTile,
  frame,
} from "../picture/cells.js";
import { createStage } from "../picture/stage.js";
import { isWhole, reveal, tilesOf, wholeView, zoom } from "../picture/layout.js";
import { actionOf, listen } from "../picture/gestures.js";
import { context, hatch } from "../base/paint.js";
import { css, lookup } from "../base/scale.js";
import { active } from "../base/selection.js";
import { caption, count } from "../base/words.js";

/** @param {App} app */
export function createHeatmap(app) {
  const place = createStage("", { "aria-roledescription": "heatmap", "data-testid": "sl-heatmap" });
  const { element: stage, base, over } = place;
  const zooms = h("div", { class: "sl-zoom", role: "group", "aria-label": "Zoom" });
  const notes = h("p", { class: "sl-caption" });
  const small = h("p", { class: "sl-caption sl-small" });
  const element = h(
    "div",
    { class: "sl-heatmap" },
    stage,
    h("div", { class: "sl-under" }, h("div", null, notes, small), zooms),
  );
  const canvases = { whole: document.createElement("canvas"), tile: document.createElement("canvas") };
  /** @type {import("../picture/layout.js").HeatmapGeometry | null} */
  let g = null;
  /** @type {import("../picture/layout.js").View | null} */
  let view = null;
  let shape = "";
  let width = 320;
  const counts = () => /** @type {[number, number]} */ ([app.matrix?.nQuery ?? 0, app.matrix?.nKey ?? 0]);

  /** @param {MouseEvent} event */
  const under = (event) => (g && view ? place.under(event, g, view, ...counts()) : null);

  /** @param {number} factor @param {{query: number, key: number} | null} [about] */
  function zoomBy(factor, about = null) {
    if (!view) return;
    const at = active(app.selection);
    const middle = { query: view.q0 + view.q / 2, key: view.k0 + view.k / 2 };
    const centre = about ?? {
      query: at?.query != null ? at.query + 0.5 : middle.query,
      key: at?.key != null ? at.key + 0.5 : middle.key,
    };
    setView(zoom(view, factor, centre, ...counts()));
  }

  /** @param {import("../picture/layout.js").View} next */
  function setView(next) {
    view = next;
    paint();
    cross();
  }

  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ press) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick: press }, text);
  const reset = button("whole", "Show the whole matrix (key 0)", () => setView(wholeView(...counts())));
  zooms.append(
    button("−", "Zoom out (key −)", () => zoomBy(0.5)),
    button("+", "Zoom in (key +)", () => zoomBy(2)),
    reset,
  );

  listen(stage, {
    shown: () => view && g && { view, plot: g.plot },
    counts,
    under,
    setView,
    zoomBy,
    dispatch: (action) => app.dispatch(action),
  });
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [nQuery, nKey] = counts();
    const action = actionOf(event, active(app.selection), nQuery, nKey);
    if (!action) return;
    app.dispatch(action);
    event.preventDefault();
    const to = active(app.selection);
    if (to && view && !isWhole(view, nQuery, nKey)) {
      const next = reveal(view, to, nQuery, nKey);
      if (next !== view) setView(next);
    }
  };

  /** Cells, labels, axis titles. @param {boolean} [measure]  the container may have another width now */
  function paint(measure = false) {
    const { matrix, theme, overview, options } = app;
    if (!matrix || !overview) return;
    const queries = app.queries.map((token) => token.t);
    const keys = app.keys.map((token) => token.t);
    const [nQuery, nKey] = counts();
    if (shape !== `${nQuery}x${nKey}` || !view) {
      view = wholeView(nQuery, nKey);
      shape = `${nQuery}x${nKey}`;
    }
    if (measure || !g) width = place.width;
    g = place.geometry(theme, queries, keys, {
      width,
      maxHeight: Math.max(app.heatmapHeight(), 200),
      nQuery,
      nKey,
      tail: Math.ceil(nKey / 12),
    });
    const ctx = context(base, g.width, g.height);
    const { plot } = g;
    const top = options.per_head_scale ? matrix.peak || 1 : 1;
    const table = lookup(theme, top);
    if (app.masks || matrix.codes.includes(matrix.kind.masked)) hatch(ctx, theme, plot.x, plot.y, plot.w, plot.h);
    const block = drawCells(ctx, matrix, { view, plot }, { table, scratch: canvases.whole });
    for (const tile of matrix.tiles.values())
      drawTile(ctx, app, tile, { view, plot }, { table, scratch: canvases.tile });
    drawGrid(ctx, app, view, plot);
    drawNumbers(ctx, { theme, matrix }, view, plot, top);
    ctx.strokeStyle = css(theme.line);
    ctx.lineWidth = 1;
    ctx.strokeRect(plot.x - 0.5, plot.y - 0.5, plot.w + 1, plot.h + 1);
    drawLabels(ctx, app, view, g);
    const borders = overview.borders(app.selection.layer);
    drawBorders(ctx, app, view, g, borders);
    mark(
      stage,
      "data-borders",
      borders.query === null && borders.key === null ? null : `${borders.query}/${borders.key}`,
    );
    mark(
      stage,
      "aria-label",
      `Weights of ${overview.title(app.selection.layer, app.selection.head)}: ${nQuery} queries down, ` +
        `${nKey} keys across. Arrow keys move the cell, Enter pins it, Escape releases.`,
    );
    say(
      notes,
      [
        caption({
          head: app.selection.head,
          rowsum: matrix.meta?.rowsum ?? null,
          free: overview.freeSums,
          ...app.hiding(),
        }),
        ...overview.note,
      ]
        .map((line) => (line.endsWith(".") ? line : `${line}.`))
        .join(" "),
    );
    say(small, fineprint(app, view, block));
    reset.hidden = isWhole(view, nQuery, nKey);
    mark(stage, "data-zoomed", !reset.hidden);
    wantTiles(app, view, plot, paintLater);
  }

  let waiting = false;
  function paintLater() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
      cross();
    });
  }

  /** The crosshair: the row in the query's colour, the column in the key's, the cell framed; the pin dashed. */
  function cross() {
    if (!g || !view || !app.matrix) return;
    const { selection } = app;
    const ctx = context(over, g.width, g.height);
    const now = active(selection);
    if (selection.pin && selection.pin !== now) frame(ctx, app, g, view, selection.pin, true);
    if (now) frame(ctx, app, g, view, now, now === selection.pin);
    if (now) drawMarkedLabels(ctx, app, view, g, now);
  }

  /** @param {number} level */
  function draw(level) {
    if (!app.matrix) return;
    if (level >= 2) paint(level >= 3);
    cross();
  }

  return {
    element,
    draw,
    focus: () => stage.focus(),
    /** The part of the matrix that is shown; null before the first painting. */
    get zoomed() {
      return view;
    },
    set zoomed(next) {
      view = next;
      shape = counts().join("x");
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
 * @param {App} app
 * @param {import("../picture/layout.js").View} view
 * @param {import("../picture/layout.js").Box} plot
 * @param {() => void} done
 */
function wantTiles(app, view, plot, done) {
  const { matrix, selection, source } = app;
  if (!matrix || !source || matrix.single || (plot.w / view.k) * (window.devicePixelRatio || 1) < 1) return;
  const { layer, head } = selection;
  for (const { row0, col0 } of tilesOf(view, matrix.nQuery, matrix.nKey)) {
    const name = `${row0}/${col0}`;
    if (matrix.tiles.has(name) || matrix.wanted.has(name)) continue;
    matrix.wanted.add(name);
    source
      .tile(layer, head, row0, col0)
      .then((pack) => {
        if (!pack) return;
        const { data, shape } = pack.arrays.picture;
        matrix.tiles.set(name, {
          codes: data,
          rows: shape[0],
          cols: shape[1],
          row0,
          col0,
        });
        if (app.matrix === matrix) done();
      })
      .catch(() => matrix.wanted.delete(name));
  }
}

/**
 * What is not exact about the picture.
 * @param {App} app
 * @param {import("../picture/layout.js").View} view
 * @param {{q: number, k: number}} block
 */
function fineprint(app, view, block) {
  const matrix = /** @type {import("../picture/matrix.js").Matrix} */ (app.matrix);
  const parts = [];
  if (matrix.quality === "overview")
    parts.push(!app.inline ? "overview; the head’s own numbers are on their way" : "overview");
  const covered =
    matrix.tiles.size > 0 &&
    tilesOf(view, matrix.nQuery, matrix.nKey).every(({ row0, col0 }) => matrix.tiles.has(`${row0}/${col0}`));
  if ((block.q > 1 || block.k > 1) && !covered)
    parts.push(`each pixel is the largest of ${block.q} × ${block.k} cells; zoom in for single cells`);
  if (!isWhole(view, matrix.nQuery, matrix.nKey)) {
    const [q, k] = [Math.floor(view.q0), Math.floor(view.k0)];
    parts.push(
      `queries ${count(q)}–${count(Math.min(Math.ceil(view.q0 + view.q), matrix.nQuery) - 1)}, keys ` +
        `${count(k)}–${count(Math.min(Math.ceil(view.k0 + view.k), matrix.nKey) - 1)}`,
    );
  }
  if (app.options.per_head_scale) parts.push("colours scaled to this head’s own maximum");
  return parts.join(" · ");
}
