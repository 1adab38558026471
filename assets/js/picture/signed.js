/**
 * The colours of signed numbers: 0 in the middle of the ramp, the same range on both sides.
 *
 * @typedef {import("../base/scale.js").Rgb} Rgb
 */
import { parseColour } from "../base/scale.js";

/** @typedef {{signed: Rgb[], weights: Rgb[], nan: Rgb}} Colours */

const STOPS = 9;

/**
 * The two ramps, read through an element (they may use light-dark(), which only an element can resolve).
 * @param {HTMLElement} probe
 * @returns {Colours}
 */
export function readColours(probe) {
  const style = getComputedStyle(probe);
  /** @param {string} name @returns {Rgb} */
  const colour = (name) => {
    probe.style.color = `var(--c-${name})`;
    return parseColour(style.color) ?? [128, 128, 128];
  };
  /** @param {string} name */
  const ramp = (name) => Array.from({ length: STOPS }, (_, i) => colour(`${name}-${i}`));
  const found = { signed: ramp("div"), weights: ramp("ramp"), nan: colour("nan") };
  probe.style.color = "";
  return found;
}

/**
 * Where a signed number lies on the diverging ramp: 0.5 is zero, both ends are ±top.
 * @param {number} x
 * @param {number} top
 */
export function signedPlace(x, top) {
  return top > 0 ? 0.5 + x / top / 2 : 0.5;
}

/** The largest finite magnitude. @param {ArrayLike<number>} values */
export function topOf(values) {
  let top = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > top && size < Infinity) top = size;
  }
  return top;
}
