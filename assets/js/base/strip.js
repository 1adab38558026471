/** Numbers as strips of coloured cells, one pixel a number, stretched by the style sheet. */
import { rampAt } from "./scale.js";
import { signedPlace } from "../picture/signed.js";

/**
 * Paint a matrix, one pixel a cell.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values  row by row; NaN and -∞ stay transparent, so that the hatching under them shows
 * @param {number} rows @param {number} columns
 * @param {import("../picture/signed.js").Colours} colours
 * @param {{top: number, weights?: boolean}} scale
 */
export function paint(canvas, values, rows, columns, colours, { top, weights = false }) {
  canvas.width = Math.max(columns, 1);
  canvas.height = Math.max(rows, 1);
  const context = canvas.getContext("2d");
  if (!context || !rows || !columns) return;
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    const x = values[i];
    if (x !== x || x === -Infinity) continue;
    const rgb = weights ? rampAt(colours.weights, x) : rampAt(colours.signed, signedPlace(x, top));
    image.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
