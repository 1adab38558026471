/** What the canvases share: sharp sizes, pictures from codes, hatching, labels. */
import { css } from "./scale.js";

/** @typedef {import("./scale.js").Theme} Theme */

/**
 * Give a canvas its size in CSS pixels and its sharpness; the context then draws in CSS pixels.
 *
 * @param {HTMLCanvasElement} canvas @param {number} width @param {number} height
 * @returns {CanvasRenderingContext2D}
 */
export function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(Math.round(width * ratio), 1);
  const h = Math.max(Math.round(height * ratio), 1);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.imageSmoothingEnabled = false;
  return ctx;
}

/**
 * One pixel for each code.
 *
 * @param {Uint8Array | Uint16Array} codes @param {number} rows @param {number} cols
 * @param {Uint32Array} table  256 pixels, see scale.lookup
 * @param {HTMLCanvasElement} [canvas]  used again if given
 */
export function picture(codes, rows, cols, table, canvas = document.createElement("canvas")) {
  canvas.width = cols;
  canvas.height = rows;
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = ctx.createImageData(cols, rows);
  const pixels = new Uint32Array(image.data.buffer);
  if (codes instanceof Uint16Array) {
    for (let i = 0; i < pixels.length; i++) {
      const code = codes[i];
      pixels[i] = table[code > 65533 ? code - 65280 : (code * 253 + 32766) >> 16];
    }
  } else for (let i = 0; i < pixels.length; i++) pixels[i] = table[codes[i]];
  ctx.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Fill a box with the hatching of cells that may not be read.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Theme} theme
 * @param {number} x
 * @param {number} y
 * @param {number} w
 * @param {number} h
 * @param {number} [step]
 */
export function hatch(ctx, theme, x, y, w, h, step = 6) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  ctx.fillStyle = css(theme.paper);
  ctx.fillRect(x, y, w, h);
  ctx.strokeStyle = css(theme.mask);
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let d = -h; d < w; d += step) {
    ctx.moveTo(x + d, y + h);
    ctx.lineTo(x + d + h, y);
  }
  ctx.stroke();
  ctx.restore();
}

/**
 * Shorten a label to the room it has.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} room
 */
export function fit(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  const letters = [...text];
  while (letters.length > 1 && ctx.measureText(`${letters.join("")}…`).width > room) letters.pop();
  return `${letters.join("")}…`;
}

/** @param {Theme} theme @param {number} [scale] @param {"mono" | "ui"} [face] @param {number} [weight] */
export function font(theme, scale = 1, face = "mono", weight = 400) {
  return `${weight} ${Math.round(theme.size * scale)}px ${theme[face]}`;
}

/**
 * Width of the widest label; only the longest few are measured.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string[]} labels
 */
export function widest(ctx, labels) {
  let best = 0;
  const longest = labels.length > 64 ? [...labels].sort((a, b) => b.length - a.length).slice(0, 24) : labels;
  for (const label of longest) best = Math.max(best, ctx.measureText(label).width);
  return best;
}
