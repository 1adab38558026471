/**
 * How the three maps are painted: two heads, and their difference. Nothing here listens or remembers.
 *
 * @typedef {import("../base/scale.js").Theme} Theme
 * @typedef {import("../base/scale.js").Rgb} Rgb
 * @typedef {import("./cells.js").Cells} Cells
 * @typedef {import("../picture/layout.js").View} View
 * @typedef {import("../picture/layout.js").HeatmapGeometry} Geometry
 */
import { MASKED, NOT_THERE, signed } from "./cells.js";
import { drawCells, drawGrid, drawLabels, drawNumbers } from "../picture/cells.js";
import { cellBox } from "../picture/layout.js";
import { signedPlace } from "../picture/signed.js";
import { font, hatch, picture } from "../base/paint.js";
import { css, lookup, pixel, rampAt, textOn } from "../base/scale.js";

/** A difference smaller than this has no sign in its cell. */
const SIGNED = 0.05;

/** The pixel of every s1 code. @param {Theme} theme @param {Rgb[]} diverging */
export function signedTable(theme, diverging) {
  const table = new Uint32Array(256);
  for (let code = 1; code <= 253; code++) table[code] = pixel(rampAt(diverging, signedPlace(code - 127, 126)));
  table[254] = pixel(theme.nan);
  return table; // 255, which one side has not, is transparent
}

/**
 * One of the two heads.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{theme: Theme, cells: Cells, view: View, scratch: HTMLCanvasElement}} map
 * @param {"a" | "b"} side @param {Geometry} g @param {{t: string}[]} queries @param {{t: string}[]} keys
 */
export function drawSide(ctx, { theme, cells, view, scratch }, side, g, queries, keys) {
  const { plot } = g;
  const matrix = cells.matrices[side];
  const kinds = side === "a" ? cells.ofA : cells.ofB;
  if (kinds.includes(MASKED)) hatch(ctx, theme, plot.x, plot.y, plot.w, plot.h);
  drawCells(ctx, matrix, { view, plot }, { table: lookup(theme), scratch });
  drawAbsent(ctx, theme, cells, view, g, side);
  drawGrid(ctx, { theme, queries, keys }, view, plot);
  drawNumbers(ctx, { theme, matrix }, view, plot, 1);
  finish(ctx, theme, view, g, queries, keys);
}

/**
 * A − B: colour, and a sign or a number in every cell that has room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{theme: Theme, diverging: Rgb[], cells: Cells, view: View, scratch: HTMLCanvasElement, top: number}} map
 * @param {Geometry} g @param {{t: string}[]} queries @param {{t: string}[]} keys
 */
export function drawDifference(ctx, { theme, diverging, cells, view, scratch, top }, g, queries, keys) {
  const { plot } = g;
  if (cells.ofA.includes(MASKED) || cells.ofB.includes(MASKED)) hatch(ctx, theme, plot.x, plot.y, plot.w, plot.h);
  picture(cells.signed(top), cells.nRows, cells.nColumns, signedTable(theme, diverging), scratch);
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  const [w, tall] = [plot.w / view.k, plot.h / view.q];
  ctx.drawImage(scratch, plot.x - view.k0 * w, plot.y - view.q0 * tall, cells.nColumns * w, cells.nRows * tall);
  ctx.restore();
  drawAbsent(ctx, theme, cells, view, g, "both");
  drawGrid(ctx, { theme, queries, keys }, view, plot);
  drawSigns(ctx, theme, diverging, cells, view, g, top);
  finish(ctx, theme, view, g, queries, keys);
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {Theme} theme @param {View} view @param {Geometry} g
 * @param {{t: string}[]} queries @param {{t: string}[]} keys
 */
function finish(ctx, theme, view, g, queries, keys) {
  const { plot } = g;
  ctx.strokeStyle = css(theme.line);
  ctx.lineWidth = 1;
  ctx.strokeRect(plot.x - 0.5, plot.y - 0.5, plot.w + 1, plot.h + 1);
  drawLabels(ctx, { theme, queries, keys }, view, g);
}

/**
 * Rows and columns that a side has not: upright lines on paper, which no weight and no mask looks like.
 * @param {CanvasRenderingContext2D} ctx @param {Theme} theme @param {Cells} cells @param {View} view
 * @param {Geometry} g @param {"a" | "b" | "both"} side
 */
function drawAbsent(ctx, theme, cells, view, { plot }, side) {
  const lacks = (/** @type {import("./packs").Place} */ place) =>
    side === "both" ? place.a === null || place.b === null : place[side] === null;
  const [w, tall] = [plot.w / view.k, plot.h / view.q];
  const strips = [
    ...cells.rows.flatMap((place, q) =>
      lacks(place) ? [{ x: plot.x, y: cellBox(plot, view, q, 0).y, w: plot.w, h: tall }] : [],
    ),
    ...cells.columns.flatMap((place, k) =>
      lacks(place) ? [{ x: cellBox(plot, view, 0, k).x, y: plot.y, w, h: plot.h }] : [],
    ),
  ];
  if (!strips.length) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  ctx.beginPath();
  for (const strip of strips) ctx.rect(strip.x, strip.y, strip.w, strip.h);
  ctx.clip();
  ctx.fillStyle = css(theme.paper);
  ctx.fillRect(plot.x, plot.y, plot.w, plot.h);
  ctx.strokeStyle = css(theme.mask);
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let x = plot.x + 2.5; x < plot.x + plot.w; x += 5) {
    ctx.moveTo(x, plot.y);
    ctx.lineTo(x, plot.y + plot.h);
  }
  ctx.stroke();
  ctx.restore();
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {Theme} theme @param {Rgb[]} diverging @param {Cells} cells
 * @param {View} view @param {Geometry} g @param {number} top
 */
function drawSigns(ctx, theme, diverging, cells, view, { plot }, top) {
  const [w, tall] = [plot.w / view.k, plot.h / view.q];
  if (Math.min(w, tall) < 8) return;
  const numbers = w >= theme.size * 3.3 && tall >= theme.size * 1.4;
  ctx.font = font(theme, numbers ? 1 : Math.min(1, Math.min(w, tall) / theme.size));
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (let q = Math.max(Math.floor(view.q0), 0); q < Math.min(Math.ceil(view.q0 + view.q), cells.nRows); q++) {
    for (let k = Math.max(Math.floor(view.k0), 0); k < Math.min(Math.ceil(view.k0 + view.k), cells.nColumns); k++) {
      const { difference, ofA, ofB } = cells.at(q, k);
      if (difference !== difference || ofA === NOT_THERE || ofB === NOT_THERE) continue;
      const box = cellBox(plot, view, q, k);
      if (box.x < plot.x - 1 || box.y < plot.y - 1) continue;
      if (box.x + w > plot.x + plot.w + 1 || box.y + tall > plot.y + plot.h + 1) continue;
      const sign = Math.abs(difference) < SIGNED ? "" : difference > 0 ? "+" : "−";
      const text = numbers ? signed(difference) : sign;
      if (!text) continue;
      ctx.fillStyle = css(textOn(rampAt(diverging, signedPlace(difference, top))));
      ctx.fillText(text, box.x + w / 2, box.y + tall / 2);
    }
  }
}
