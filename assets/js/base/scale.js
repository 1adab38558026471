/**
 * Colours: from the CSS variables of the page to numbers that a canvas can use.
 *
 * Weights have one sequential scale of nine stops. It runs from 0 to 1, or to the largest weight of a head if the
 * reader asks for that (then the legend says so).
 *
 * @typedef {[number, number, number]} Rgb  0..255
 * @typedef {{ramp: Rgb[], query: Rgb, key: Rgb, value: Rgb, output: Rgb, mask: Rgb, nan: Rgb, paper: Rgb, panel: Rgb,
 *   ink: Rgb, ink2: Rgb, line: Rgb, focus: Rgb, ok: Rgb, bad: Rgb, mono: string, ui: string, size: number}} Theme
 */

/**
 * Read a computed CSS colour. Browsers give `rgb()` for most and `color(srgb …)` for the rest.
 *
 * @param {string} text
 * @returns {Rgb | null}
 */
export function parseColour(text) {
  const numbers = (text.match(/-?[\d.]+(?:e-?\d+)?%?/g) ?? []).map((part) =>
    part.endsWith("%") ? parseFloat(part) / 100 : parseFloat(part),
  );
  if (text.startsWith("#") && (text.length === 7 || text.length === 4)) {
    const hex = text.length === 7 ? text.slice(1) : [...text.slice(1)].map((c) => c + c).join("");
    return rgb((c) => parseInt(hex.slice(2 * c, 2 * c + 2), 16));
  }
  if (/^rgba?\(/.test(text) && numbers.length >= 3) return rgb((c) => Math.round(numbers[c]));
  if (/^color\(srgb /.test(text) && numbers.length >= 3) {
    return rgb((c) => Math.round(Math.min(Math.max(numbers[c], 0), 1) * 255));
  }
  return null;
}

/** @param {(channel: number) => number} channel @returns {Rgb} */
function rgb(channel) {
  return [channel(0), channel(1), channel(2)];
}

/** @param {Rgb} rgb @param {number} [alpha] */
export function css(rgb, alpha = 1) {
  return alpha === 1 ? `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]})` : `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]} / ${alpha})`;
}

/**
 * The colour of a weight.
 *
 * @param {Rgb[]} ramp  evenly spaced stops from 0 to 1
 * @param {number} x    clamped to 0..1
 * @returns {Rgb}
 */
export function rampAt(ramp, x) {
  const at = Math.min(Math.max(x, 0), 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(at), ramp.length - 2);
  const part = at - i;
  return rgb((c) => Math.round(ramp[i][c] + (ramp[i + 1][c] - ramp[i][c]) * part));
}

/** Relative luminance, WCAG 2. @param {Rgb} rgb */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => {
    const x = c / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of two colours, 1..21. @param {Rgb} a @param {Rgb} b */
export function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/**
 * Black or white, whichever is read more easily on this colour.
 *
 * @param {Rgb} background
 * @returns {Rgb}
 */
export function textOn(background) {
  const dark = /** @type {Rgb} */ ([0, 0, 0]);
  const light = /** @type {Rgb} */ ([255, 255, 255]);
  return contrast(background, dark) >= contrast(background, light) ? dark : light;
}

/** One pixel as a little-endian 32-bit number (alpha, blue, green, red). @param {Rgb} rgb */
export function pixel(rgb) {
  return ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;
}

/**
 * The pixel of every one-byte code. Masked is transparent, so that the hatching under it shows; NaN has its own colour.
 *
 * @param {Theme} theme
 * @param {number} [top]  the weight that gets the last colour (1 unless scaled per head)
 * @returns {Uint32Array} 256 pixels
 */
export function lookup(theme, top = 1) {
  const table = new Uint32Array(256);
  for (let code = 0; code <= 253; code++) table[code] = pixel(rampAt(theme.ramp, code / 253 / (top || 1)));
  table[254] = pixel(theme.nan);
  table[255] = 0;
  return table;
}

/**
 * Resolve the CSS variables `--c-…` through an element (they may use light-dark(), which only an element can resolve).
 *
 * @param {HTMLElement} probe  an element inside the view, not displayed to the reader
 * @returns {Theme}
 */
export function readTheme(probe) {
  const style = getComputedStyle(probe);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  /** @param {string} name @returns {Rgb} */
  const colour = (name) => {
    probe.style.color = `var(--c-${name})`;
    const text = style.color;
    const parsed = parseColour(text);
    if (parsed || !context) return parsed ?? [128, 128, 128];
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    return /** @type {Rgb} */ ([...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  };
  const colours = {
    ramp: Array.from({ length: 9 }, (_, i) => colour(`ramp-${i}`)),
    query: colour("query"),
    key: colour("key"),
    value: colour("value"),
    output: colour("output"),
    mask: colour("mask"),
    nan: colour("nan"),
    paper: colour("paper"),
    panel: colour("panel"),
    ink: colour("ink"),
    ink2: colour("ink2"),
    line: colour("line"),
    focus: colour("focus"),
    ok: colour("ok"),
    bad: colour("bad"),
  };
  probe.style.color = "";
  const size = parseFloat(style.fontSize) || 14;
  const ui = style.fontFamily;
  probe.style.fontFamily = "var(--c-mono)";
  const mono = style.fontFamily;
  probe.style.fontFamily = "";
  return { ...colours, size, ui, mono };
}
