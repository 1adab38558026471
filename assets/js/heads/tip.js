/** One explanation for the whole view: it stands by whatever is hovered or focused, and Escape takes it away. */
import { h } from "../base/dom.js";
import { closed, opened } from "../base/popover.js";

/** @param {HTMLElement} host */
export function createTip(host) {
  const element = h("div", { class: "sl-tip", role: "tooltip", id: "sl-tip", hidden: true });
  host.append(element);
  const hide = () => {
    element.hidden = true;
    closed(hide);
  };

  /** @param {HTMLElement} over @param {string} title @param {string} says */
  function show(over, title, says) {
    element.replaceChildren(h("b", null, title), ` ${says}`);
    element.hidden = false;
    opened(hide);
    const box = over.getBoundingClientRect();
    const frame = host.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - frame.left, 0), Math.max(frame.width - element.offsetWidth, 0));
    const under = box.bottom - frame.top + 6;
    const room = box.bottom + element.offsetHeight + 8 < window.innerHeight;
    element.style.left = `${left}px`;
    element.style.top = `${room ? under : box.top - frame.top - element.offsetHeight - 6}px`;
  }

  return {
    hide,
    /** Explain this element. @param {HTMLElement} over @param {string} title @param {string} says */
    on(over, title, says) {
      over.setAttribute("aria-describedby", "sl-tip");
      over.onmouseenter = over.onfocus = () => show(over, title, says);
      over.onmouseleave = over.onblur = hide;
    },
  };
}
