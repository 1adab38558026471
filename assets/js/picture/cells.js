/**
 * How the heatmap is painted: cells, tiles, numbers, labels, marks. Nothing here listens or remembers.
 *
 * @typedef {import("../base/scale.js").Theme} Theme
 * @typedef {{t: string}[]} Tokens  as shown
 * @typedef {{theme: Theme, queries: Tokens, keys: Tokens}} Painter
 * @typedef {{view: import("./layout.js").View, plot: import("./layout.js").Box}} Pane what is seen, and where on the
 *   canvas
 * @typedef {{table: Uint32Array, scratch: HTMLCanvasElement}} Shades the pixel of every code; a canvas that nobody sees
 */
import { cellBox, closest, thin } from "./layout.js";
import { blockMax } from "./matrix.js";
import { fit, font, hatch, picture } from "../base/paint.js";
import { css, rampAt, textOn } from "../base/scale.js";
import { MASKED, U2 } from "../base/wire.js";

const KEY_NAME = "key (is looked at) →";
const QUERY_NAME = "← query (looks)";

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./matrix.js").Matrix} matrix
 * @param {Pane} pane
 * @param {Shades} shades
 */
export function drawCells(ctx, matrix, { view, plot }, { table, scratch }) {
  const ratio = window.devicePixelRatio || 1;
  const r0 = Math.max(Math.floor(view.q0 / matrix.blockQ), 0);
  const c0 = Math.max(Math.floor(view.k0 / matrix.blockK), 0);
  const r1 = Math.min(Math.ceil((view.q0 + view.q) / matrix.blockQ), matrix.rows);
  const c1 = Math.min(Math.ceil((view.k0 + view.k) / matrix.blockK), matrix.cols);
  const blockR = Math.max(Math.ceil((r1 - r0) / (plot.h * ratio)), 1);
  const blockC = Math.max(Math.ceil((c1 - c0) / (plot.w * ratio)), 1);
  const part = blockMax(matrix.codes, matrix.rows, matrix.cols, blockR, blockC, { r0, c0, r1, c1 });
  picture(part.codes, part.rows, part.cols, table, scratch);
  const cellH = (plot.h / view.q) * matrix.blockQ;
  const cellW = (plot.w / view.k) * matrix.blockK;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  const x = plot.x + (c0 * matrix.blockK - view.k0) * (plot.w / view.k);
  const y = plot.y + (r0 * matrix.blockQ - view.q0) * (plot.h / view.q);
  ctx.drawImage(scratch, x, y, part.cols * blockC * cellW, part.rows * blockR * cellH);
  ctx.restore();
  return { q: matrix.blockQ * blockR, k: matrix.blockK * blockC };
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {{codes: Uint16Array, rows: number, cols: number, row0: number, col0: number}} tile
 * @param {Pane} pane
 * @param {Shades} shades
 */
export function drawTile(ctx, app, tile, { view, plot }, { table, scratch }) {
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (w * (window.devicePixelRatio || 1) < 1) return;
  const x = plot.x + (tile.col0 - view.k0) * w;
  const y = plot.y + (tile.row0 - view.q0) * tall;
  if (x > plot.x + plot.w || y > plot.y + plot.h || x + tile.cols * w < plot.x || y + tile.rows * tall < plot.y) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  if (tile.codes.includes(U2.masked)) hatch(ctx, app.theme, x, y, tile.cols * w, tile.rows * tall);
  else {
    ctx.fillStyle = css(app.theme.paper);
    ctx.fillRect(x, y, tile.cols * w, tile.rows * tall);
  }
  ctx.drawImage(picture(tile.codes, tile.rows, tile.cols, table, scratch), x, y, tile.cols * w, tile.rows * tall);
  ctx.restore();
}

/**
 * Thin paper-coloured lines between cells that are large enough.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {import("./layout.js").View} view
 * @param {import("./layout.js").Box} plot
 */
export function drawGrid(ctx, app, view, plot) {
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (Math.min(w, tall) < 9) return;
  ctx.strokeStyle = css(app.theme.panel);
  ctx.lineWidth = Math.min(w, tall) > 18 ? 1.5 : 1;
  ctx.beginPath();
  for (let k = Math.ceil(view.k0); k <= view.k0 + view.k; k++) {
    const x = plot.x + (k - view.k0) * w;
    ctx.moveTo(x, plot.y);
    ctx.lineTo(x, plot.y + plot.h);
  }
  for (let q = Math.ceil(view.q0); q <= view.q0 + view.q; q++) {
    const y = plot.y + (q - view.q0) * tall;
    ctx.moveTo(plot.x, y);
    ctx.lineTo(plot.x + plot.w, y);
  }
  ctx.stroke();
}

/**
 * Two decimals in cells that have room; the sign of NaN in those that hold none.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{theme: Theme, matrix: import("./matrix.js").Matrix}} app
 * @param {import("./layout.js").View} view
 * @param {import("./layout.js").Box} plot
 * @param {number} top
 */
export function drawNumbers(ctx, app, view, plot, top) {
  const { theme, matrix } = app;
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (Math.min(w, tall) < 10 || (!matrix.single && !matrix.tiles.size)) return;
  const numbers = w >= theme.size * 2.7 && tall >= theme.size * 1.4;
  ctx.font = font(theme);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const lastQ = Math.min(Math.ceil(view.q0 + view.q), matrix.nQuery);
  const lastK = Math.min(Math.ceil(view.k0 + view.k), matrix.nKey);
  for (let q = Math.floor(view.q0); q < lastQ; q++) {
    for (let k = Math.floor(view.k0); k < lastK; k++) {
      const { weight, bound } = matrix.at(q, k);
      if (weight === MASKED || bound) continue;
      const box = cellBox(plot, view, q, k);
      if (
        box.x < plot.x - 1 ||
        box.y < plot.y - 1 ||
        box.x + w > plot.x + plot.w + 1 ||
        box.y + tall > plot.y + plot.h + 1
      )
        continue;
      if (weight !== weight) {
        ctx.strokeStyle = css(textOn(theme.nan));
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        ctx.moveTo(box.x + w * 0.3, box.y + tall * 0.3);
        ctx.lineTo(box.x + w * 0.7, box.y + tall * 0.7);
        ctx.moveTo(box.x + w * 0.7, box.y + tall * 0.3);
        ctx.lineTo(box.x + w * 0.3, box.y + tall * 0.7);
        ctx.stroke();
      } else if (numbers) {
        ctx.fillStyle = css(textOn(rampAt(theme.ramp, weight / top)));
        ctx.fillText(weight.toFixed(2), box.x + w / 2, box.y + tall / 2);
      }
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {import("./layout.js").View} view
 * @param {import("./layout.js").HeatmapGeometry} g
 */
export function drawLabels(ctx, app, view, g) {
  const { theme, queries, keys } = app;
  const { plot } = g;
  const tall = plot.h / view.q;
  const w = plot.w / view.k;
  ctx.textBaseline = "middle";
  ctx.fillStyle = css(theme.ink2);
  // Labels are dropped rather than made small: 12 px for 14 is the only step down.
  const small = 12 / 14;
  const rowStep = spaced(tall, closest(theme.size), theme.size * 1.5);
  ctx.font = font(theme, tall * rowStep >= theme.size ? 1 : small);
  ctx.textAlign = "right";
  for (
    let q = Math.ceil(view.q0 / rowStep - 0.001) * rowStep;
    q < Math.min(view.q0 + view.q, queries.length);
    q += rowStep
  ) {
    const y = plot.y + (q + 0.5 - view.q0) * tall;
    if (y < plot.y || y > plot.y + plot.h) continue;
    ctx.fillText(numbered(ctx, q, queries[q].t, rowStep, g.labelW - 8), plot.x - 6, y);
  }
  const columnStep = spaced(w, closest(theme.size), theme.size * 1.5);
  ctx.font = font(theme, w * columnStep >= theme.size * 1.15 ? 1 : small);
  ctx.textAlign = "left";
  for (
    let k = Math.ceil(view.k0 / columnStep - 0.001) * columnStep;
    k < Math.min(view.k0 + view.k, keys.length);
    k += columnStep
  ) {
    slanted(
      ctx,
      numbered(ctx, k, keys[k].t, columnStep, (g.labelH - 6) / Math.sin(g.slant)),
      plot.x + (k + 0.5 - view.k0) * w,
      plot.y - 5,
      g,
    );
  }
  ctx.font = font(theme, 1, "ui", 600);
  ctx.fillStyle = css(theme.key);
  ctx.textAlign = "left";
  const line = theme.size * 0.75;
  const room = ctx.measureText(KEY_NAME).width + 2;
  const x = Math.max(Math.min(plot.x, g.width - room), 0);
  ctx.fillText(fit(ctx, KEY_NAME, g.width - x), x, line);
  ctx.fillStyle = css(theme.query);
  ctx.save();
  // A plot of few rows is lower than its axis' name is long: the name then begins beside the key labels.
  ctx.translate(line, Math.max(Math.min(plot.y, g.height - ctx.measureText(QUERY_NAME).width - 2), 0));
  ctx.rotate(-Math.PI / 2);
  ctx.textAlign = "right";
  ctx.fillText(fit(ctx, QUERY_NAME, g.height), 0, 0);
  ctx.restore();
}

/** Width of the longer of the axes' names. @param {CanvasRenderingContext2D} ctx @param {Theme} theme */
export function widestName(ctx, theme) {
  ctx.font = font(theme, 1, "ui", 600);
  return Math.max(ctx.measureText(KEY_NAME).width, ctx.measureText(QUERY_NAME).width);
}

/**
 * Where a pair's second sentence begins: a line across the plot and out between the labels.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {import("./layout.js").View} view
 * @param {import("./layout.js").HeatmapGeometry} g
 * @param {{query: number | null, key: number | null}} at
 */
export function drawBorders(ctx, app, view, g, { query, key }) {
  const { plot } = g;
  const out = app.theme.size;
  ctx.strokeStyle = css(app.theme.ink2);
  ctx.lineWidth = 1.5;
  ctx.setLineDash([5, 3]);
  ctx.beginPath();
  if (query !== null && query > view.q0 && query < view.q0 + view.q) {
    const y = cellBox(plot, view, query, 0).y;
    ctx.moveTo(plot.x - out, y);
    ctx.lineTo(plot.x + plot.w, y);
  }
  if (key !== null && key > view.k0 && key < view.k0 + view.k) {
    const { x } = cellBox(plot, view, 0, key);
    ctx.moveTo(x + out * Math.cos(g.slant), plot.y - out * Math.sin(g.slant));
    ctx.lineTo(x, plot.y);
    ctx.lineTo(x, plot.y + plot.h);
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

/**
 * Labels stand close while all or nearly all are there, and with room between them once most are left out.
 * @param {number} spacing
 * @param {number} close
 * @param {number} roomy
 */
function spaced(spacing, close, roomy) {
  const step = thin(spacing, close);
  return step < 5 ? step : thin(spacing, roomy);
}

/**
 * Where most labels are left out, the others say which token they are: the label is cut, its number never.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} at
 * @param {string} label
 * @param {number} step
 * @param {number} room
 */
function numbered(ctx, at, label, step, room) {
  if (step < 5) return fit(ctx, label, room);
  const number = `${at} `;
  const rest = room - ctx.measureText(number).width;
  return rest < ctx.measureText("m…").width ? String(at) : number + fit(ctx, label, rest);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {import("./layout.js").HeatmapGeometry} g
 */
function slanted(ctx, text, x, y, g) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(-g.slant);
  ctx.fillText(text, 0, 0);
  ctx.restore();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {import("./layout.js").HeatmapGeometry} g
 * @param {import("./layout.js").View} view
 * @param {import("../base/selection.js").Mark} mark
 * @param {boolean} pinned
 */
export function frame(ctx, app, g, view, mark, pinned) {
  const { theme } = app;
  const { plot } = g;
  const { x, y, w, h: tall } = cellBox(plot, view, mark.query ?? 0, mark.key ?? 0);
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x - 2, plot.y - 2, plot.w + 4, plot.h + 4);
  ctx.clip();
  ctx.lineWidth = 2;
  // A row too thin to be framed gets one hairline, so that the mark does not cover its neighbours.
  if (mark.query !== null) {
    ctx.fillStyle = ctx.strokeStyle = css(theme.query);
    if (tall >= 6) ctx.strokeRect(plot.x, y, plot.w, tall);
    else ctx.fillRect(plot.x, y + tall / 2 - 0.75, plot.w, 1.5);
  }
  if (mark.key !== null) {
    ctx.fillStyle = ctx.strokeStyle = css(theme.key);
    if (w >= 6) ctx.strokeRect(x, plot.y, w, plot.h);
    else ctx.fillRect(x + w / 2 - 0.75, plot.y, 1.5, plot.h);
  }
  if (mark.query !== null && mark.key !== null) {
    ctx.strokeStyle = css(theme.ink);
    ctx.lineWidth = 2.5;
    const [bw, bh] = [Math.max(w + 2, 10), Math.max(tall + 2, 10)];
    ctx.clearRect(x + w / 2 - bw / 2, y + tall / 2 - bh / 2, bw, bh);
    ctx.strokeRect(x + w / 2 - bw / 2, y + tall / 2 - bh / 2, bw, bh);
  }
  ctx.restore();
  if (pinned) {
    ctx.fillStyle = css(theme.query);
    ctx.beginPath();
    if (mark.query !== null) ctx.arc(plot.x + plot.w + 6, y + tall / 2, 3.5, 0, 7);
    ctx.fill();
    ctx.fillStyle = css(theme.key);
    ctx.beginPath();
    if (mark.key !== null && mark.query === null) ctx.arc(x + w / 2, plot.y + plot.h + 2, 3.5, 0, 7);
    ctx.fill();
  }
}

/**
 * The labels of the marked row and column, whole and in their colours, whatever was thinned out.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Painter} app
 * @param {import("./layout.js").View} view
 * @param {import("./layout.js").HeatmapGeometry} g
 * @param {import("../base/selection.js").Mark} mark
 */
export function drawMarkedLabels(ctx, app, view, g, mark) {
  const { theme } = app;
  const { plot } = g;
  ctx.textBaseline = "middle";
  ctx.font = font(theme, 1, "mono", 700);
  if (mark.query !== null) {
    const box = cellBox(plot, view, mark.query, 0);
    const y = Math.min(Math.max(box.y + box.h / 2, plot.y), plot.y + plot.h);
    const text = fit(ctx, app.queries[mark.query]?.t ?? "", g.labelW - 4);
    ctx.fillStyle = css(theme.paper);
    ctx.fillRect(plot.x - g.labelW - 2, y - theme.size * 0.7, g.labelW, theme.size * 1.4);
    ctx.textAlign = "right";
    ctx.fillStyle = css(theme.query);
    ctx.fillText(text, plot.x - 6, y);
  }
  if (mark.key !== null) {
    const box = cellBox(plot, view, 0, mark.key);
    const x = Math.min(Math.max(box.x + box.w / 2, plot.x), plot.x + plot.w);
    const room = (g.labelH - 6) / Math.sin(g.slant);
    const text = fit(ctx, app.keys[mark.key]?.t ?? "", room);
    ctx.save();
    ctx.translate(x, plot.y - 5);
    ctx.rotate(-g.slant);
    ctx.fillStyle = css(theme.paper);
    ctx.fillRect(-1, -theme.size * 0.62, Math.max(ctx.measureText(text).width, theme.size * 4) + 4, theme.size * 1.24);
    ctx.textAlign = "left";
    ctx.fillStyle = css(theme.key);
    ctx.fillText(text, 0, 0);
    ctx.restore();
  }
}
