/**
 * All heads of A, of B, and their differences where the two have the same heads. A click chooses.
 *
 * @typedef {import("./compare.js").CompareView} CompareView
 * @typedef {import("../picture/grid.js").Group} Group
 * @typedef {"a" | "b" | "both"} Side
 */
import { indexOf } from "./cells.js";
import { signedTable } from "./painting.js";
import { h, mark, say } from "../base/dom.js";
import { context, picture } from "../base/paint.js";
import { css, lookup } from "../base/scale.js";
import { choiceAt, corner, geometry, hit, placeOf, walk } from "../picture/grid.js";
import { thin } from "../picture/layout.js";
import { thumbnail } from "../picture/thumbnail.js";

/** @param {CompareView} app */
export function createAtlases(app) {
  const together = h("input", { type: "checkbox", onchange: () => app.setTogether(together.checked) });
  const toggle = h("label", { class: "sl-toggle" }, together, "the same head in A and B");
  const atlases = /** @type {const} */ (["a", "b", "both"]).map((side) => createAtlas(app, side));
  const element = h(
    "section",
    { class: "sl-cmp-atlases", "aria-label": "All heads" },
    h("div", { class: "sl-head-row" }, h("h2", null, "All heads"), toggle),
    h("div", { class: "sl-cmp-three" }, ...atlases.map((atlas) => atlas.element)),
  );

  return {
    element,
    draw() {
      toggle.hidden = !app.sameHeads || app.data.same_run;
      together.checked = app.b === null;
      for (const atlas of atlases) atlas.draw();
    },
    marks() {
      for (const atlas of atlases) atlas.place();
    },
    landing: () => /** @type {HTMLElement | null} */ (atlases[0].element.querySelector(".sl-grid")),
  };
}

/** @param {CompareView} app @param {Side} side */
function createAtlas(app, side) {
  const letter = { a: "A", b: "B", both: "A − B" }[side];
  const title = h("span", { class: "sl-cmp-title" });
  const grids = h("div", { class: "sl-grids" });
  const element = h(
    "div",
    { class: "sl-cmp-atlas", "data-testid": `sl-cmp-atlas-${side}` },
    h("h3", null, h("span", { class: "sl-cmp-letter" }, letter), " ", title),
    grids,
  );
  /** @type {ReturnType<typeof createGrid>[]} */
  let drawn = [];
  let made = "";

  /** Without what has no difference of its own: means over all layers, and, of A − B, those of a layer. */
  function groups() {
    const found = app.overviews[side === "b" ? "b" : "a"]?.groups ?? [];
    return found.map((group) => ({ ...group, alls: false, means: side !== "both" && group.means }));
  }

  return {
    element,
    draw() {
      element.hidden = side === "both" && !app.changed?.arrays.pictures.data.length;
      if (element.hidden) return;
      say(title, side === "both" ? "the strongest difference of each block" : app.data.names[side === "a" ? 0 : 1]);
      const found = groups();
      const wanted = found.map((group) => group.id).join();
      if (made !== wanted) {
        made = wanted;
        drawn = found.map((_, at) => createGrid(app, side, at, groups));
        grids.replaceChildren(...drawn.map((grid) => grid.element));
      }
      for (const grid of drawn) grid.draw();
      for (const grid of drawn) grid.place();
    },
    place() {
      for (const grid of drawn) grid.place();
    },
  };
}

/** @param {CompareView} app @param {Side} side @param {number} at @param {() => Group[]} groups */
function createGrid(app, side, at, groups) {
  const id = `sl-cmp-cell-${side}-${at}`;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const chosen = h("div", { class: "sl-chosen", hidden: true });
  const cell = h("div", { role: "gridcell", id, class: "sl-quiet", "aria-selected": "true" });
  const row = h("div", { role: "row", class: "sl-quiet" }, cell);
  const grid = h(
    "div",
    { class: "sl-grid", role: "grid", tabindex: "0", "aria-activedescendant": id },
    canvas,
    chosen,
    row,
  );
  const name = h("h4", null);
  const element = h("div", { class: "sl-group" }, name, grid);
  const scratch = document.createElement("canvas");
  let g = /** @type {import("../picture/grid.js").Geometry | null} */ (null);

  /** @param {MouseEvent} event */
  const choiceOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const group = groups()[at];
    const found = g && hit(g, group, event.clientX - box.left, event.clientY - box.top);
    return found ? choiceAt(group, found.row, found.col) : null;
  };
  grid.onpointermove = (event) => {
    grid.style.cursor = choiceOf(event) ? "pointer" : "default";
  };
  grid.onclick = (event) => {
    const choice = choiceOf(event);
    if (choice) app.choose(side, Number(choice.layer), choice.head);
  };
  grid.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      app.frame.maps.focus();
      return;
    }
    const { layer, head } = app.chosen(side);
    const all = groups();
    const from = placeOf(all, layer, head);
    if (!from || !/^(Arrow|Home|End|Page)/.test(event.key)) return;
    event.preventDefault();
    const to = walk(all, from, event.key);
    const next = choiceAt(all[to.group], to.row, to.col);
    app.choose(side, Number(next.layer), next.head);
    if (to.group !== at)
      /** @type {HTMLElement} */ (element.parentElement?.children[to.group]?.querySelector(".sl-grid"))?.focus();
  };

  function draw() {
    const { theme } = app;
    const overview = app.overviews[side === "b" ? "b" : "a"];
    const all = groups();
    const group = all[at];
    if (!overview || !group) return;
    say(name, all.length > 1 ? group.title : "");
    name.hidden = all.length < 2;
    g = geometry(element.clientWidth || 320, group, theme.size);
    const letter = { a: "A", b: "B", both: "A − B" }[side];
    mark(grid, "aria-label", `${letter}, ${group.title}: rows are layers, columns are heads. Arrow keys choose.`);
    mark(grid, "aria-rowcount", String(group.layers.length));
    mark(grid, "aria-colcount", String(group.nHeads + (group.means ? 2 : 0)));
    const ctx = context(canvas, g.width, g.height);
    const table = side === "both" ? signedTable(theme, app.diverging) : lookup(theme);
    for (let r = 0; r < group.layers.length; r++) {
      for (let c = 0; c < group.nHeads + (group.means ? 2 : 0); c++) {
        const { layer, head } = choiceAt(group, r, c);
        const where = { ...corner(g, r, c), side: g.thumb };
        if (side === "both") signedThumbnail(ctx, app, Number(layer), Number(head), where, table, scratch);
        else {
          const found = overview.picture(layer, head);
          if (found) thumbnail(ctx, found, where, { theme, table, scratch });
        }
      }
    }
    axes(ctx, app, group, g);
  }

  /** Put the mark where the chosen head is. */
  function place() {
    const { layer, head } = app.chosen(side);
    const here = placeOf(groups(), layer, head);
    const is = Boolean(g && here && here.group === at && (side !== "both" || app.b === null));
    chosen.hidden = !is || !g || !here || here.col < 0;
    mark(cell, "aria-selected", String(is));
    if (chosen.hidden || !g || !here) return;
    const { x, y } = corner(g, here.row, here.col);
    chosen.style.transform = `translate(${x - 3}px, ${y - 3}px)`;
    chosen.style.width = chosen.style.height = `${g.thumb + 6}px`;
    say(cell, app.titleOfHead(side, layer, head));
    mark(row, "aria-rowindex", String(here.row + 1));
    mark(cell, "aria-colindex", String(here.col + 1));
  }

  return { element, draw, place };
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {CompareView} app @param {number} layer @param {number} head
 * @param {{x: number, y: number, side: number}} where @param {Uint32Array} table @param {HTMLCanvasElement} scratch
 */
function signedThumbnail(ctx, app, layer, head, { x, y, side }, table, scratch) {
  const { meta, arrays } = /** @type {import("./packs").ChangedPack} */ (app.changed);
  const { offset, rows, cols } = meta.layers[layer];
  const from = offset + head * rows * cols;
  ctx.fillStyle = css(app.theme.paper);
  ctx.fillRect(x, y, side, side);
  picture(arrays.pictures.data.subarray(from, from + rows * cols), rows, cols, table, scratch);
  ctx.drawImage(scratch, x, y, side, side);
  // How much it changed, as a bar along its foot: the sign of change that needs no colour.
  const share = arrays.changed.data[indexOf(meta.layers, layer, head)];
  if (!(share > 0)) return;
  ctx.fillStyle = css(app.theme.ink);
  ctx.fillRect(x, y + side - 2, side * Math.min(share, 1), 2);
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {CompareView} app @param {Group} group
 * @param {import("../picture/grid.js").Geometry} g
 */
function axes(ctx, { theme }, group, g) {
  const s = theme.size;
  const small = Math.max(12, Math.round(s * 0.88));
  ctx.fillStyle = css(theme.ink2);
  ctx.textBaseline = "middle";
  ctx.font = `${small}px ${theme.mono}`;
  const step = thin(g.pitch, ctx.measureText(String(group.nHeads - 1)).width + 6);
  const line = g.y - s * 0.95 - g.bracket;
  ctx.textAlign = "center";
  for (let c = 0; c < group.nHeads; c += step) ctx.fillText(String(c), g.x + c * g.pitch + g.thumb / 2, line);
  ctx.textAlign = "right";
  const rowStep = thin(g.pitch, small + 2);
  for (let r = 0; r < group.layers.length; r += rowStep)
    ctx.fillText(String(r), g.x - 8, g.y + r * g.pitch + g.thumb / 2);
  ctx.font = `${small}px ${theme.ui}`;
  ctx.textAlign = "center";
  if (group.means)
    ["mean", "max"].forEach((word, i) => ctx.fillText(word, g.aggregateX + i * g.aggregatePitch + g.thumb / 2, line));
  ctx.textAlign = "left";
  ctx.fillText("head", g.x, line - s * 1.05);
}
