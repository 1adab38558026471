/** Panels that a button opens. */
import { focusedBy, mark } from "./dom.js";

/**
 * A button that opens a panel: closed by the button, Escape, or a click elsewhere.
 *
 * @param {HTMLButtonElement} button @param {HTMLElement} panel
 * @param {AbortSignal} signal  ends the listening
 * @returns {() => void} closes it; the focus then goes from the panel to the button
 */
export function popover(button, panel, signal) {
  /** @param {boolean} open */
  const set = (open) => {
    panel.hidden = !open;
    mark(button, "aria-expanded", String(open));
  };
  button.onclick = () => set(panel.hidden === true);
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!panel.hidden && !event.composedPath().includes(/** @type {Node} */ (button.parentElement))) set(false);
    },
    { signal },
  );
  panel.onkeydown = button.onkeydown = (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    button.focus();
    set(false);
  };
  return () => {
    if (panel.contains(focusedBy(panel))) button.focus();
    set(false);
  };
}
