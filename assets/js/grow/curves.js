/**
 * Curves over the steps of a run: drawn once as SVG, with a cursor that moves alone.
 *
 * @typedef {{name: string, cls: string, values: ArrayLike<number>, faint?: boolean}} Series  one value a saved step; NaN is left out
 * @typedef {{steps: ArrayLike<number>, series: Series[], second?: boolean}} Lines  of one run; `second` is drawn dashed
 * @typedef {{step: number, cls: string}} Mark  a moment, as a line down the chart
 * @typedef {{lines: Lines[], last: number, top: number, level: {value: number, label: string} | null, marks: Mark[]}} Chart
 *   last: the last step on the x axis; top: of the y axis, which begins at 0
 */
import { mark } from "../base/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ROUND = [1, 2, 2.5, 5, 10];

/** A round distance between ticks so that there are at most `most` of them. @param {number} top @param {number} most */
export function tickStep(top, most) {
  if (!(top > 0)) return 1;
  const raw = top / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  return (ROUND.find((r) => r * power >= raw * (1 - 1e-9)) ?? 10) * power;
}

/** Ticks from 0 to `top`. @param {number} top @param {number} most */
export function ticks(top, most) {
  const step = tickStep(top, most);
  const count = Math.floor(top / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** The saved step nearest to a step of training. @param {ArrayLike<number>} steps  ascending @param {number} step @returns {number} its index; -1 if there is none */
export function nearest(steps, step) {
  let best = -1;
  for (let i = 0; i < steps.length; i++)
    if (best < 0 || Math.abs(steps[i] - step) < Math.abs(steps[best] - step)) best = i;
  return best;
}

/**
 * The points of a line, in pieces: a value that is not a number makes a gap.
 *
 * @param {ArrayLike<number>} steps @param {ArrayLike<number>} values
 * @param {(step: number) => number} x @param {(value: number) => number} y
 * @returns {string} for the attribute `d` of a path
 */
export function path(steps, values, x, y) {
  let d = "";
  let pen = false;
  for (let i = 0; i < Math.min(steps.length, values.length); i++) {
    const value = values[i];
    if (value !== value || value === null) {
      pen = false;
      continue;
    }
    d += `${pen ? "L" : "M"}${x(steps[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  }
  return d;
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/**
 * @param {{label: string, tall: number, go: (step: number) => void, hover: (step: number | null) => void, xTitle?: boolean}} given
 *   tall: height in multiples of the type's size; go: the visitor points at a step and presses
 */
export function createCurves({ label, tall, go, hover, xTitle = false }) {
  const svg = s("svg", { class: "sl-curves", role: "img", "aria-label": label });
  const still = s("g", {});
  const over = s("line", { class: "sl-curve-over", visibility: "hidden" });
  const cursor = s("line", { class: "sl-curve-cursor" });
  const dots = s("g", {});
  svg.append(still, over, cursor, dots);
  /** @type {Chart | null} */
  let chart = null;
  let plot = { x: 0, y: 0, w: 1, h: 1 };
  let [width, size] = [0, 14];
  let drawn = "";
  let pressed = false;
  const x = (/** @type {number} */ step) => plot.x + (plot.w * step) / Math.max(chart?.last ?? 1, 1);
  const y = (/** @type {number} */ value) => plot.y + plot.h * (1 - Math.min(value / (chart?.top || 1), 1));

  /** @param {PointerEvent} event */
  const stepAt = (event) => {
    const box = svg.getBoundingClientRect();
    const share = (event.clientX - box.left - plot.x) / Math.max(plot.w, 1);
    return Math.min(Math.max(share, 0), 1) * (chart?.last ?? 0);
  };
  const element = /** @type {SVGSVGElement} */ (svg);
  element.onpointerdown = (event) => {
    if (event.button !== 0) return;
    pressed = true;
    element.setPointerCapture(event.pointerId);
    go(stepAt(event));
  };
  element.onpointermove = (event) => {
    const step = stepAt(event);
    if (pressed) go(step);
    else hover(step);
  };
  element.onpointerup = element.onpointercancel = () => (pressed = false);
  element.onpointerleave = () => hover(null);

  /** Axes, level, marks and lines. */
  function paint() {
    if (!chart || width < 40) return;
    const high = Math.round(size * tall);
    const left = Math.ceil(size * 2.5);
    plot = {
      x: left,
      y: Math.round(size * 0.6),
      w: width - left - Math.ceil(size * 0.6),
      h: high - Math.round(size * (xTitle ? 3.6 : 2.1)),
    };
    svg.setAttribute("viewBox", `0 0 ${width} ${high}`);
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(high));
    const parts = [];
    for (const value of ticks(chart.top, Math.max(2, Math.floor(plot.h / (size * 2.4))))) {
      parts.push(
        s("line", {
          class: value === 0 ? "sl-curve-axis" : "sl-curve-grid",
          x1: plot.x,
          x2: plot.x + plot.w,
          y1: y(value),
          y2: y(value),
        }),
      );
      parts.push(
        s(
          "text",
          { class: "sl-curve-tick", x: plot.x - 6, y: y(value), "text-anchor": "end", "dominant-baseline": "central" },
          String(value),
        ),
      );
    }
    const spots = ticks(chart.last, Math.max(2, Math.floor(plot.w / (size * 5.5))));
    for (const step of spots) {
      const anchor = x(step) > plot.x + plot.w - size * 2 ? "end" : step === 0 ? "start" : "middle";
      parts.push(
        s("line", { class: "sl-curve-axis", x1: x(step), x2: x(step), y1: plot.y + plot.h, y2: plot.y + plot.h + 4 }),
      );
      parts.push(
        s(
          "text",
          { class: "sl-curve-tick", x: x(step), y: plot.y + plot.h + size * 1.25, "text-anchor": anchor },
          step.toLocaleString("en"),
        ),
      );
    }
    if (xTitle)
      parts.push(
        s(
          "text",
          { class: "sl-curve-tick", x: plot.x + plot.w, y: plot.y + plot.h + size * 2.5, "text-anchor": "end" },
          "training step →",
        ),
      );
    for (const { step, cls } of chart.marks)
      parts.push(
        s("line", { class: `sl-curve-mark ${cls}`, x1: x(step), x2: x(step), y1: plot.y, y2: plot.y + plot.h }),
      );
    if (chart.level) {
      const at = y(chart.level.value);
      parts.push(s("line", { class: "sl-curve-level", x1: plot.x, x2: plot.x + plot.w, y1: at, y2: at }));
      parts.push(
        s(
          "text",
          { class: "sl-curve-word", x: plot.x + plot.w, y: at - size * 0.35, "text-anchor": "end" },
          chart.level.label,
        ),
      );
    }
    for (const { steps, series, second } of chart.lines) {
      for (const { cls, values, faint } of series) {
        parts.push(
          s("path", {
            class: `sl-curve ${cls}${faint ? " sl-faint" : ""}${second ? " sl-second-run" : ""}`,
            d: path(steps, values, x, y),
          }),
        );
      }
    }
    still.replaceChildren(...parts);
  }

  /** @param {Element} line @param {number} step */
  function upright(line, step) {
    for (const [name, value] of Object.entries({ x1: x(step), x2: x(step), y1: plot.y, y2: plot.y + plot.h }))
      mark(line, name, value.toFixed(1));
  }

  return {
    element,
    /** @param {Chart} next @param {string} key  what the chart depends on: the same key draws nothing @param {number} typeSize */
    draw(next, key, typeSize) {
      const wide = Math.floor(/** @type {HTMLElement} */ (element.parentElement)?.clientWidth ?? 0);
      const all = `${key}|${wide}|${typeSize}`;
      chart = next;
      if (all === drawn) return;
      drawn = all;
      [width, size] = [wide, typeSize];
      paint();
    },
    /** @param {number} step @param {{cls: string, value: number, second?: boolean, step?: number}[]} values  where the cursor meets the lines */
    point(step, values) {
      upright(cursor, step);
      dots.replaceChildren(
        ...values
          .filter(({ value }) => value === value && value !== null)
          .map(({ cls, value, second, step: own }) =>
            s("circle", {
              class: `sl-curve-dot ${cls}${second ? " sl-second-run" : ""}`,
              cx: x(own ?? step).toFixed(1),
              cy: y(value).toFixed(1),
              r: 4,
            }),
          ),
      );
    },
    /** @param {number | null} step */
    over(step) {
      mark(over, "visibility", step === null ? "hidden" : "visible");
      if (step !== null) upright(over, step);
    },
    /** @param {string} text */
    describe: (text) => mark(svg, "aria-label", text),
  };
}
