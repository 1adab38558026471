/**
 * Curves over the steps of a run: a figure of plotly, and over it a cursor that moves alone.
 *
 * @typedef {{cls: string, value: number, second?: boolean, step: number}} Dot  where the cursor meets a curve
 */
import { h, mark } from "../base/dom.js";
import { createFigure } from "../base/figure.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * The saved step nearest to a step of training.
 * @param {ArrayLike<number>} steps ascending
 * @param {number} step
 * @returns {number} its index; -1 if there is none
 */
export function nearest(steps, step) {
  let best = -1;
  for (let i = 0; i < steps.length; i++)
    if (best < 0 || Math.abs(steps[i] - step) < Math.abs(steps[best] - step)) best = i;
  return best;
}

/** @param {string} tag @param {Record<string, string | number>} attributes */
function s(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * @param {{testid: string, go: (step: number) => void, hover: (step: number | null) => void, zoomed: () => void}} given
 *   go: the visitor points at a step and presses; zoomed: he has changed what the axes show
 */
export function createCurves({ testid, go, hover, zoomed }) {
  const over = s("line", { class: "sl-curve-over", visibility: "hidden" });
  const cursor = s("line", { class: "sl-curve-cursor", visibility: "hidden" });
  const dots = s("g", {});
  const svg = s("svg", { class: "sl-curves" });
  svg.append(over, cursor, dots);
  const figure = createFigure({ testid, free: "Drag to scrub", placed: () => stand(), zoomed });
  figure.over.append(svg);
  const element = h("div", { class: "sl-grow-chart", role: "group", "aria-roledescription": "chart" }, figure.element);
  /** @type {{step: number, values: Dot[]}} */
  let at = { step: 0, values: [] };
  let pressed = false;

  /** The step under the pointer; null if it is not between the axes. @param {MouseEvent} event */
  const stepAt = (event) => {
    const corner = figure.element.getBoundingClientRect();
    const place = { x: event.clientX - corner.left, y: event.clientY - corner.top };
    const { box } = figure;
    if (!box || (!pressed && !figure.holds(place))) return null;
    return Math.max(figure.across(Math.min(Math.max(place.x, box.x), box.x + box.w)), 0);
  };
  const onButtons = (/** @type {Event} */ event) =>
    /** @type {Element} */ (event.target).closest(".modebar, .sl-figure-told") !== null;
  /** @param {MouseEvent} event */
  const jump = (event) => {
    const step = onButtons(event) ? null : stepAt(event);
    if (step !== null) go(step);
    return step !== null;
  };
  element.onpointerdown = (event) => {
    if (event.button !== 0 || figure.drag || !jump(event)) return;
    pressed = true;
    element.setPointerCapture(event.pointerId);
  };
  element.onpointermove = (event) => {
    if (pressed) jump(event);
    else hover(onButtons(event) ? null : stepAt(event));
  };
  element.onpointerup = element.onpointercancel = () => (pressed = false);
  element.onpointerleave = () => hover(null);
  element.onclick = (event) => figure.drag && jump(event); // after a drag plotly lets no click through

  /** @param {Element} line @param {number | null} step */
  function upright(line, step) {
    const { box } = figure;
    const { x } = figure.at(step ?? NaN, 0);
    const seen = Boolean(box && step !== null && x >= box.x - 1 && x <= box.x + box.w + 1);
    mark(line, "visibility", seen ? "visible" : "hidden");
    if (!box || !seen) return;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: box.y, y2: box.y + box.h }))
      mark(line, name, value.toFixed(1));
  }

  function stand() {
    upright(cursor, at.step);
    dots.replaceChildren(
      ...at.values
        .filter(({ value }) => Number.isFinite(value))
        .map(({ cls, value, second, step }) => ({ cls, second, place: figure.at(step, value) }))
        .filter(({ place }) => figure.holds(place))
        .map(({ cls, second, place }) =>
          s("circle", {
            class: `sl-curve-dot ${cls}${second ? " sl-second-run" : ""}`,
            cx: place.x.toFixed(1),
            cy: place.y.toFixed(1),
            r: 4,
          }),
        ),
    );
  }

  return {
    element,
    show: figure.show.bind(figure),
    setAcross: figure.setAcross,
    get acrossRange() {
      return figure.acrossRange;
    },
    /** @param {number} step @param {Dot[]} values */
    point(step, values) {
      at = { step, values };
      stand();
    },
    /** @param {number | null} step */
    over: (step) => upright(over, step),
    /** @param {string} text */
    describe: (text) => mark(element, "aria-label", text),
    destroy: figure.destroy,
  };
}
