/** Panels that a button opens; and Escape, which closes what was opened last and does nothing else. */
import { focusedBy, mark } from "./dom.js";

/** What closes each thing that is open, in the order of opening. @type {Set<() => void>} */
const open = new Set();
let listening = false;

/**
 * Something is open that Escape closes, wherever the focus is, before anything that was opened earlier. Say `closed`
 * with the same `close` when it has closed another way.
 *
 * @param {() => void} close
 */
export function opened(close) {
  open.delete(close);
  open.add(close);
  if (!listening) document.addEventListener("keydown", onKey, { capture: true });
  listening = true;
}

/** @param {() => void} close */
export function closed(close) {
  open.delete(close);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const last = [...open].pop();
  if (!last || event.key !== "Escape" || event.isComposing) return;
  // it lies over them, and closes itself
  if (event.composedPath().some((one) => one instanceof HTMLDialogElement)) return;
  event.preventDefault();
  event.stopPropagation();
  open.delete(last);
  last();
}

/**
 * A button that opens a panel: closed by the button, Escape, or a click elsewhere.
 *
 * @param {HTMLButtonElement} button @param {HTMLElement} panel
 * @param {AbortSignal} signal  ends the listening
 * @returns {() => void} closes it; the focus then goes from the panel to the button
 */
export function popover(button, panel, signal) {
  /** @param {boolean} shown */
  const set = (shown) => {
    panel.hidden = !shown;
    mark(button, "aria-expanded", String(shown));
    (shown ? opened : closed)(close);
  };
  const close = () => {
    if (panel.contains(focusedBy(panel))) button.focus();
    set(false);
  };
  button.onclick = () => set(panel.hidden === true);
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!panel.hidden && !event.composedPath().includes(/** @type {Node} */ (button.parentElement))) set(false);
    },
    { signal },
  );
  signal.addEventListener("abort", () => closed(close));
  return close;
}
