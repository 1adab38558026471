/**
 * What hands do on the heatmap: hover, click, drag the zoomed matrix, pinch, and the wheel with Ctrl; and its keys.
 *
 * @typedef {import("../base/selection.js").Action} Action
 * @typedef {import("../base/selection.js").Mark} Mark
 * @typedef {import("./layout.js").View} View
 *
 * @typedef {object} Ground  what the gestures are made on
 * @property {() => {view: View, plot: import("./layout.js").Box} | null} shown  null before the first painting
 * @property {() => [number, number]} counts  queries and keys
 * @property {(event: MouseEvent) => Mark | null} under  what a pointer is on
 * @property {(view: View) => void} setView
 * @property {(factor: number, about: {query: number, key: number} | null) => void} zoomBy
 * @property {(action: Action) => void} dispatch
 */
import { isWhole, pan } from "./layout.js";

/** Pixels before a press becomes a drag. */
const SLACK = 4;

/** @param {HTMLElement} stage @param {Ground} map */
export function listen(stage, map) {
  /** @type {{x: number, y: number, view: View, moved: boolean} | null} */
  let drag = null;
  let pinch = 0;
  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();

  /** The cell under a pointer; null over a label. @param {MouseEvent} event */
  const cellUnder = (event) => {
    const at = map.under(event);
    return at && at.query !== null && at.key !== null ? { query: at.query, key: at.key } : null;
  };

  stage.onpointerdown = (event) => {
    fingers.set(event.pointerId, event);
    const shown = map.shown();
    if (event.button === 0 && shown) drag = { x: event.clientX, y: event.clientY, view: shown.view, moved: false };
  };
  stage.onpointermove = (event) => {
    if (event.buttons === 0) drag = null; // let go outside of the map, where nobody says so
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    const shown = map.shown();
    if (fingers.size === 2 && shown) {
      const [a, b] = [...fingers.values()];
      const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (pinch) map.zoomBy(apart / pinch, cellUnder(a));
      pinch = apart;
      if (drag) drag.moved = true;
      return;
    }
    if (drag && shown && !isWhole(shown.view, ...map.counts())) {
      const { view, plot } = shown;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (drag.moved || Math.hypot(dx, dy) > SLACK) {
        if (!drag.moved) stage.setPointerCapture(event.pointerId);
        drag.moved = true;
        map.setView(pan(drag.view, (-dy / plot.h) * view.q, (-dx / plot.w) * view.k, ...map.counts()));
        return;
      }
    }
    const at = map.under(event);
    map.dispatch(at ? { type: "hover", ...at } : { type: "leave" });
  };
  stage.onpointerup = stage.onpointercancel = (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = 0;
    if (event.type === "pointercancel") drag = null; // after an up the click still asks whether it ends a drag
  };
  stage.onpointerleave = (event) => {
    if (event.pointerType === "mouse") fingers.delete(event.pointerId);
    map.dispatch({ type: "leave" });
  };
  stage.onclick = (event) => {
    const moved = drag?.moved;
    drag = null;
    const at = moved ? null : map.under(event);
    if (at) map.dispatch({ type: "pin", ...at });
  };
  stage.onwheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const at = cellUnder(event);
    map.zoomBy(Math.exp(-event.deltaY / 200), at && { query: at.query + 0.5, key: at.key + 0.5 });
  };
  stage.onblur = () => map.dispatch({ type: "leave" });
}

/**
 * What a key does on the map; null if it does nothing.
 *
 * @param {{key: string, shiftKey: boolean}} event @param {Mark | null} mark  what is marked now
 * @param {number} nQuery @param {number} nKey
 * @returns {Action | null}
 */
export function actionOf({ key, shiftKey }, mark, nQuery, nKey) {
  const far = shiftKey ? 10 : 1;
  const n = { nQuery, nKey };
  switch (key) {
    case "ArrowUp":
      return { type: "step", dq: -far, dk: 0, ...n };
    case "ArrowDown":
      return { type: "step", dq: far, dk: 0, ...n };
    case "ArrowLeft":
      return { type: "step", dq: 0, dk: -far, ...n };
    case "ArrowRight":
      return { type: "step", dq: 0, dk: far, ...n };
    case "Home":
      return { type: "jump", to: "row start", ...n };
    case "End":
      return { type: "jump", to: "row end", ...n };
    case "PageUp":
      return { type: "jump", to: "start", ...n };
    case "PageDown":
      return { type: "jump", to: "end", ...n };
    case "Enter":
      return mark && { type: "pin", ...mark };
    case "q":
      return mark && mark.query !== null ? { type: "pin", query: mark.query } : null;
    case "k":
      return mark && mark.key !== null ? { type: "pin", key: mark.key } : null;
    default:
      return null;
  }
}
