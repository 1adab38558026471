/** A head as a small picture. */
import { blockMax } from "./matrix.js";
import { hatch, picture } from "../base/paint.js";
import { codesOf } from "../base/wire.js";

/** One small picture, block maxima where it has fewer pixels than cells. @param {CanvasRenderingContext2D} ctx @param {{theme: import("../base/scale.js").Theme}} app @param {import("./overview.js").Picture} found @param {number} x @param {number} y @param {number} side @param {Uint32Array} table @param {HTMLCanvasElement} scratch */
export function thumbnail(ctx, app, found, x, y, side, table, scratch) {
  const { codes, rows, cols } = found;
  const pixels = Math.round(side * (window.devicePixelRatio || 1));
  const blockR = Math.ceil(rows / pixels);
  const blockC = Math.ceil(cols / pixels);
  const small = blockR > 1 || blockC > 1 ? blockMax(codes, rows, cols, blockR, blockC) : found;
  const { masked } = codesOf(codes);
  if (small.codes.includes(masked)) hatch(ctx, app.theme, x, y, side, side, 4);
  picture(small.codes, small.rows, small.cols, table, scratch);
  ctx.drawImage(scratch, x, y, side, side);
}
