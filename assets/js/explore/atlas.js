/**
 * The atlas: every head of the model at a glance, and the one under the pointer enlarged.
 *
 * One canvas per (stack, kind). The marks of the chosen and the hovered head are elements over it, so that hovering
 * repaints nothing but the preview.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say } from "../base/dom.js";
import { AGGREGATES, choiceAt, corner, geometry, hit, placeOf, walk } from "../picture/grid.js";
import { thin } from "../picture/layout.js";
import { peakOf } from "../picture/matrix.js";
import { context, font } from "../base/paint.js";
import { createLegend, createPreview } from "../picture/preview.js";
import { css, lookup } from "../base/scale.js";
import { thumbnail } from "../picture/thumbnail.js";

/** @param {App} app */
export function createAtlas(app) {
  const grids = h("div", { class: "sl-grids" });
  const preview = createPreview(app);
  const legend = createLegend(app);
  const element = h(
    "section",
    { class: "sl-atlas", "data-testid": "sl-atlas", "aria-label": "All heads" },
    h("div", { class: "sl-head-row" }, h("h2", null, "All heads"), legend.element),
    grids,
    preview.element,
  );
  /** @type {ReturnType<typeof createGrid>[]} */
  let parts = [];
  let revealed = "";

  /** Enlarge the head under the pointer, or the chosen one. @param {App["peek"]} choice */
  function hover(choice) {
    app.peek = choice;
    for (const part of parts) part.place();
    preview.draw();
  }

  /** @param {number} level 3 everything, 2 another head, 1 another cell */
  function draw(level) {
    if (level < 2 || !app.overview) return;
    if (level >= 3) {
      const ids = app.overview.groups.map((group) => group.id).join();
      if (grids.dataset.groups !== ids) {
        grids.dataset.groups = ids;
        parts = app.overview.groups.map((_, at) => createGrid(app, at, hover));
        grids.replaceChildren(...parts.map((part) => part.element));
      }
      for (const part of parts) part.draw();
      legend.draw();
    }
    for (const part of parts) part.place();
    reveal();
    if (level >= 3 || !app.peek) preview.draw(level >= 3);
  }

  /**
   * Another head is chosen than was seen last: a deep model's atlas scrolls to it, and else stays where its reader has
   * it.
   */
  function reveal() {
    const chosen = `${app.overview?.key}:${app.selection.layer}:${app.selection.head}`;
    if (chosen === revealed || !grids.clientHeight) return;
    revealed = chosen;
    const mark = grids.querySelector(".sl-chosen:not([hidden])")?.getBoundingClientRect();
    const seen = grids.getBoundingClientRect();
    if (!mark || (mark.top >= seen.top && mark.bottom <= seen.bottom)) return;
    grids.scrollTop += (mark.top + mark.bottom - seen.top - seen.bottom) / 2;
  }

  /** The grid in which a head is chosen. @returns {HTMLElement | null | undefined} */
  const landing = () =>
    /** @type {HTMLElement | null} */ (grids.querySelector(".sl-chosen:not([hidden])"))?.parentElement;

  return { element, draw, landing };
}

/** One grid of thumbnails. @param {App} app @param {number} at @param {(choice: App["peek"]) => void} hover */
function createGrid(app, at, hover) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const chosen = h("div", { class: "sl-chosen", hidden: true });
  const hovered = h("div", { class: "sl-hovered", hidden: true });
  const cell = h("div", { role: "gridcell", id: `sl-cell-${at}`, class: "sl-quiet", "aria-selected": "true" });
  const row = h("div", { role: "row", class: "sl-quiet" }, cell);
  const grid = h(
    "div",
    { class: "sl-grid", role: "grid", tabindex: "0", "aria-activedescendant": `sl-cell-${at}` },
    canvas,
    chosen,
    hovered,
    row,
  );
  const name = h("h3", null);
  const element = h("div", { class: "sl-group" }, name, grid);
  const scratch = document.createElement("canvas");
  const group = () => /** @type {import("../picture/overview.js").Overview} */ (app.overview).groups[at];
  let g = /** @type {import("../picture/grid.js").Geometry | null} */ (null);

  const choiceOf = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const found = g && hit(g, group(), event.clientX - box.left, event.clientY - box.top);
    return found ? choiceAt(group(), found.row, found.col) : null;
  };
  grid.onpointermove = (event) => {
    const choice = choiceOf(event);
    if (choice?.layer !== app.peek?.layer || choice?.head !== app.peek?.head) hover(choice);
    grid.style.cursor = choice ? "pointer" : "default";
  };
  grid.onpointerleave = () => hover(null);
  grid.onclick = (event) => {
    const choice = choiceOf(event);
    if (choice) app.choose(choice.layer, choice.head);
  };
  grid.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !app.overview) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      app.focusHeatmap();
      return;
    }
    const from = placeOf(app.overview.groups, app.selection.layer, app.selection.head);
    if (!from || !/^(Arrow|Home|End|Page)/.test(event.key)) return;
    event.preventDefault();
    const to = walk(app.overview.groups, from, event.key);
    const { layer, head } = choiceAt(app.overview.groups[to.group], to.row, to.col);
    app.choose(layer, head);
    if (to.group !== at)
      /** @type {HTMLElement} */ (element.parentElement?.children[to.group]?.querySelector(".sl-grid"))?.focus();
  };

  function draw() {
    const { theme, options } = app;
    const overview = /** @type {import("../picture/overview.js").Overview} */ (app.overview);
    const now = group();
    say(name, overview.groups.length > 1 ? now.title : "");
    name.hidden = overview.groups.length < 2;
    const width = element.clientWidth || element.parentElement?.clientWidth || 320;
    g = geometry(width, now, theme.size);
    mark(
      grid,
      "aria-label",
      `${now.title}: rows are layers, columns are heads. Arrow keys choose, Enter opens the head.`,
    );
    mark(grid, "aria-rowcount", String(now.layers.length + (now.alls ? 1 : 0)));
    mark(grid, "aria-colcount", String(now.nHeads + (now.means ? 2 : 0)));
    const ctx = context(canvas, g.width, g.height);
    const table = lookup(theme);
    for (let r = 0; r <= now.layers.length; r++) {
      for (let c = 0; c < now.nHeads + 2; c++) {
        if (r === now.layers.length ? !now.alls || c < now.nHeads : c >= now.nHeads && !now.means) continue;
        const choice = choiceAt(now, r, c);
        const found = overview.picture(choice.layer, choice.head);
        if (!found) continue;
        const top = options.per_head_scale ? peakOf(found.codes) || 1 : 1;
        const shades = top === 1 ? table : lookup(theme, top);
        thumbnail(ctx, found, { ...corner(g, r, c), side: g.thumb }, { theme, table: shades, scratch });
      }
    }
    axes(ctx, app, now, g);
  }

  /** Put the marks where the chosen and the hovered head are. */
  function place() {
    if (!g || !app.overview) return;
    const { layer, head } = app.selection;
    const here = placeOf(app.overview.groups, layer, head);
    put(chosen, here && here.group === at ? here : null, g, 3);
    mark(cell, "aria-selected", String(Boolean(here && here.group === at)));
    if (here && here.group === at) {
      const { entropy } = app.overview.summary(layer, head);
      say(cell, `${app.overview.title(layer, head)}${entropy === null ? "" : `, spread ${entropy.toFixed(2)} bits`}`);
      mark(row, "aria-rowindex", String(here.row + 1));
      mark(cell, "aria-colindex", String(here.col + 1));
    }
    const over = app.peek && placeOf(app.overview.groups, app.peek.layer, app.peek.head);
    put(hovered, over && over.group === at ? over : null, g, 2);
  }

  return { element, draw, place };
}

/**
 * @param {HTMLElement} frame
 * @param {import("../picture/grid.js").Place | null} place
 * @param {import("../picture/grid.js").Geometry} g
 * @param {number} edge
 */
function put(frame, place, g, edge) {
  frame.hidden = !place;
  if (!place) return;
  const { x, y } = corner(g, place.row, place.col);
  frame.style.transform = `translate(${x - edge}px, ${y - edge}px)`;
  frame.style.width = frame.style.height = `${g.thumb + 2 * edge}px`;
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {App} app
 * @param {import("../picture/grid.js").Group} group
 * @param {import("../picture/grid.js").Geometry} g
 */
function axes(ctx, app, group, g) {
  const { theme } = app;
  const s = theme.size;
  const small = Math.max(12, Math.round(s * 0.88));
  ctx.fillStyle = css(theme.ink2);
  ctx.textBaseline = "middle";
  ctx.font = `${small}px ${theme.mono}`;
  const step = thin(g.pitch, ctx.measureText(String(group.nHeads - 1)).width + 6);
  const line = g.y - s * 0.95 - g.bracket; // clear of the mark above a head that is chosen
  ctx.textAlign = "center";
  for (let c = 0; c < group.nHeads; c += step) ctx.fillText(String(c), g.x + c * g.pitch + g.thumb / 2, line);
  ctx.textAlign = "right";
  const rowStep = thin(g.pitch, small + 2);
  for (let r = 0; r < g.rows; r += rowStep) ctx.fillText(String(r), g.x - 8, g.y + r * g.pitch + g.thumb / 2);
  ctx.font = font(theme, 1, "ui");
  ctx.textAlign = "left";
  ctx.fillText("head", g.x, line - s * 1.05);
  ctx.save();
  ctx.translate(s * 0.7, g.y + Math.max(g.rows * g.pitch, s * 3) / 2 + s * 1.2);
  ctx.rotate(-Math.PI / 2);
  ctx.fillText("layer", 0, 0);
  ctx.restore();
  if (group.means) {
    ctx.font = `${small}px ${theme.ui}`;
    ctx.textAlign = "center";
    AGGREGATES.forEach((word, i) => ctx.fillText(word, g.aggregateX + i * g.aggregatePitch + g.thumb / 2, line));
    if (group.alls) {
      ctx.textAlign = "right";
      ctx.fillText("all layers", g.aggregateX - 10, g.allY + g.thumb / 2);
    }
  }
  if (g.bracket) {
    const each = group.nHeads / group.nKvHeads;
    ctx.strokeStyle = css(theme.key);
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (let i = 0; i < group.nKvHeads; i++) {
      const x0 = g.x + i * each * g.pitch + 1;
      const x1 = g.x + ((i + 1) * each - 1) * g.pitch + g.thumb - 1;
      const y = g.y - g.bracket;
      ctx.moveTo(x0, y + 6);
      ctx.lineTo(x0, y + 1);
      ctx.lineTo(x1, y + 1);
      ctx.lineTo(x1, y + 6);
    }
    ctx.stroke();
  }
}
