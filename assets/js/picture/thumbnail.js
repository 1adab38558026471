/** A head as a small picture. */
import { blockMax } from "./matrix.js";
import { hatch, picture } from "../base/paint.js";
import { codesOf } from "../base/wire.js";

/**
 * One small picture, block maxima where it has fewer pixels than cells.
 *
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./overview.js").Picture} found
 * @param {{x: number, y: number, side: number}} where
 * @param {{theme: import("../base/scale.js").Theme, table: Uint32Array, scratch: HTMLCanvasElement}} how
 *   table: the pixel of every code; scratch: a canvas that nobody sees
 */
export function thumbnail(ctx, found, { x, y, side }, { theme, table, scratch }) {
  const { codes, rows, cols } = found;
  const pixels = Math.round(side * (window.devicePixelRatio || 1));
  const blockR = Math.ceil(rows / pixels);
  const blockC = Math.ceil(cols / pixels);
  const small = blockR > 1 || blockC > 1 ? blockMax(codes, rows, cols, blockR, blockC) : found;
  const { masked } = codesOf(codes);
  if (small.codes.includes(masked)) hatch(ctx, theme, x, y, side, side, 4);
  picture(small.codes, small.rows, small.cols, table, scratch);
  ctx.drawImage(scratch, x, y, side, side);
}
