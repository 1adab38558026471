/**
 * The heads of a run: a grid of small maps, each a button, and one of them large with its tokens.
 *
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("../base/scale.js").Theme} Theme
 */
import { h, mark, say } from "../base/dom.js";
import { drawCells, drawGrid, drawLabels, drawMarkedLabels, frame } from "../picture/cells.js";
import { createStage } from "../picture/stage.js";
import { cellBox, wholeView } from "../picture/layout.js";
import { Matrix } from "../picture/matrix.js";
import { context, hatch, picture } from "../base/paint.js";
import { lookup } from "../base/scale.js";
import { MASKED } from "../base/wire.js";

/**
 * What a cell says: who looks at whom, and how much.
 * @param {Run} run
 * @param {number} at
 * @param {number} layer
 * @param {number} head
 * @param {number} query
 * @param {number} key
 */
export function cellWords(run, at, layer, head, query, key) {
  const w = run.weight(at, layer, head, query, key);
  const who = `${run.facts.tokens[query]} (${query})`;
  const whom = `${run.keys[key]} (${key})`;
  if (w === MASKED) return `${who} may not look ahead at ${whom}`;
  if (w !== w) return `${who} looks at ${whom}: not a number`;
  return `${who} looks at ${whom}: ${w.toFixed(2)}`;
}

/**
 * The small maps of one run.
 *
 * @param {{choose: (layer: number, head: number) => void, peek: (place: {layer: number, head: number} | null) => void}}
 *   calls
 */
export function createGrid({ choose, peek }) {
  const title = h("h3", null);
  const cells = h("div", { class: "sl-heads" });
  const element = h("div", { class: "sl-heads-of" }, title, cells);
  /**
   * @type {{layer: number, head: number, button: HTMLButtonElement, canvas: HTMLCanvasElement, role: HTMLElement}[]}
   */
  let made = [];
  let shape = "";

  /** @param {Run} run */
  function build(run) {
    const { n_layers: layers, n_heads: heads } = run.facts;
    const wanted = `${layers}x${heads}`;
    if (wanted === shape) return;
    shape = wanted;
    made = [];
    cells.style.setProperty("--heads", String(heads));
    const rows = [];
    for (let layer = 0; layer < layers; layer++) {
      rows.push(h("span", { class: "sl-layer-name" }, h("span", { class: "sl-layer-word" }, "layer "), String(layer)));
      for (let head = 0; head < heads; head++) {
        const canvas = h("canvas", { class: "sl-head-map", "aria-hidden": "true" });
        const role = h("span", { class: "sl-head-role" });
        const button = h(
          "button",
          {
            type: "button",
            class: "sl-head-button",
            "data-layer": layer,
            "data-head": head,
            onclick: () => choose(layer, head),
            onpointerenter: (/** @type {PointerEvent} */ event) =>
              event.pointerType === "mouse" && peek({ layer, head }),
            onpointerleave: () => peek(null),
          },
          canvas,
          role,
        );
        made.push({ layer, head, button, canvas, role });
        rows.push(button);
      }
    }
    cells.replaceChildren(...rows);
  }

  return {
    element,
    /**
     * @param {Run} run @param {number} at
     * @param {{title: string, table: Uint32Array, chosen: {layer: number, head: number} | null}} how
     */
    draw(run, at, how) {
      build(run);
      say(title, how.title);
      title.hidden = !how.title;
      for (const { layer, head, button, canvas, role } of made) {
        picture(run.map(at, layer, head), run.shape.nQuery, run.shape.nKey, how.table, canvas);
        const is = run.role(at, layer, head);
        const score = is && run.facts.scores[is.score];
        const told = is && score ? `${score.short} ${is.value.toFixed(2)}` : "";
        if (role.dataset.told !== told) {
          role.dataset.told = told;
          role.replaceChildren(...told.split(" ").map((part) => h("span", null, part)));
        }
        mark(button, "data-score", is ? String(is.score) : null);
        mark(button, "aria-pressed", String(how.chosen?.layer === layer && how.chosen?.head === head));
        mark(
          button,
          "aria-label",
          `Layer ${layer}, head ${head}${is && score ? `: ${score.title} ${is.value.toFixed(2)}` : ""}`,
        );
      }
    },
  };
}

/**
 * Frame cells.
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("../picture/layout.js").Box} plot
 * @param {import("../picture/layout.js").View} view
 * @param {number[]} cells query, key, query, key …
 * @param {string} colour
 */
function outline(ctx, plot, view, cells, colour) {
  if (!cells.length) return;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  for (let i = 0; i < cells.length; i += 2) {
    const { x, y, w, h: tall } = cellBox(plot, view, cells[i], cells[i + 1]);
    ctx.strokeRect(x + 1, y + 1, w - 2, tall - 2);
  }
}

/** @param {(text: string) => void} tell  what the pointer or the cursor is on */
export function createMap(tell) {
  const place = createStage("sl-grow-stage", { "aria-roledescription": "attention map" });
  const { element: stage, base, over } = place;
  const scratch = h("canvas", null);
  /** @type {{run: Run, at: number, layer: number, head: number} | null} */
  let shown = null;
  /** @type {Theme | null} */
  let theme = null;
  /** @type {import("../picture/layout.js").HeatmapGeometry | null} */
  let g = null;
  /** @type {{query: number, key: number} | null} */
  let cell = null;
  let byKey = false;

  /** @param {Theme} theme */
  const painter = (theme) => ({ theme, queries: named(shown?.run.facts.tokens), keys: named(shown?.run.keys) });
  const named = (/** @type {string[] | undefined} */ tokens) => (tokens ?? []).map((t) => ({ t }));
  const view = () => wholeView(shown?.run.shape.nQuery ?? 1, shown?.run.shape.nKey ?? 1);

  /** @param {MouseEvent} event */
  function under(event) {
    if (!g || !shown) return null;
    const { nQuery, nKey } = shown.run.shape;
    const at = place.under(event, g, view(), nQuery, nKey);
    return at && at.query !== null && at.key !== null ? { query: at.query, key: at.key } : null;
  }

  /** @param {{query: number, key: number} | null} next @param {boolean} [keyed] */
  function set(next, keyed = false) {
    cell = next;
    byKey = keyed;
    cross();
  }

  stage.onpointermove = (event) => set(under(event));
  stage.onpointerdown = (event) => set(under(event));
  stage.onpointerleave = () => !byKey && set(null);
  stage.onblur = () => set(null);
  stage.onkeydown = (event) => {
    if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
    const [lastQuery, lastKey] = [shown.run.shape.nQuery - 1, shown.run.shape.nKey - 1];
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    });
    const from = cell ?? { query: lastQuery, key: -1 };
    if (moves[event.key]) {
      const [dq, dk] = moves[event.key];
      set(
        {
          query: Math.min(Math.max(from.query + dq, 0), lastQuery),
          key: Math.min(Math.max(from.key + dk, 0), lastKey),
        },
        true,
      );
    } else if (event.key === "Home" || event.key === "End")
      set({ query: from.query, key: event.key === "Home" ? 0 : lastKey }, true);
    else if (event.key === "Escape" && cell) set(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  /** The frame of the cell, its labels, its words. */
  function cross() {
    if (!g || !shown || !theme) return;
    const ctx = context(over, g.width, g.height);
    if (!cell) return tell("");
    frame(ctx, painter(theme), g, view(), cell, false);
    drawMarkedLabels(ctx, painter(theme), view(), g, cell);
    tell(cellWords(shown.run, shown.at, shown.layer, shown.head, cell.query, cell.key));
  }

  return {
    element: stage,
    /**
     * @param {{run: Run, at: number, layer: number, head: number, targets: number[], colour: string}} next
     *   targets: cells to be outlined, query, key, query, key …
     * @param {Theme} colours @param {number} tall  the most that it may be high
     */
    draw(next, colours, tall) {
      [shown, theme] = [next, colours];
      const { run, at, layer, head } = next;
      const { nQuery, nKey } = run.shape;
      g = place.geometry(theme, run.facts.tokens, run.keys, { width: place.width, maxHeight: tall });
      const ctx = context(base, g.width, g.height);
      const matrix = new Matrix({
        nQuery,
        nKey,
        codes: run.map(at, layer, head),
        rows: nQuery,
        cols: nKey,
        quality: "rounded",
      });
      hatch(ctx, theme, g.plot.x, g.plot.y, g.plot.w, g.plot.h);
      drawCells(ctx, matrix, { view: view(), plot: g.plot }, { table: lookup(theme), scratch });
      drawGrid(ctx, painter(theme), view(), g.plot);
      outline(ctx, g.plot, view(), next.targets, next.colour);
      drawLabels(ctx, painter(theme), view(), g);
      mark(
        stage,
        "aria-label",
        `Layer ${layer}, head ${head} at step ${run.steps[at]}: ${nQuery} tokens look at ${nKey} tokens. ` +
          "Arrow keys move over the cells.",
      );
      cross();
    },
  };
}
