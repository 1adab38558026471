/**
 * One text field of the box: as high as its text, up to four lines, with what the model does not read marked behind it.
 */

import { h } from "../base/dom.js";

const MAX_LINES = 4;
const SURELY_FULL = 4_000; // characters that fill the box at any width: measuring and marking a longer text is slow

/** @param {string} words @param {import("../base/dom.js").Attributes} [attributes] */
export const quietButton = (words, attributes) =>
  h("button", { class: "sl-quiet", type: "button", ...attributes }, words);

/** @typedef {ReturnType<typeof createField>} Field */

/**
 * A text field with its label and a button that takes it away.
 *
 * @param {"text" | "pair" | "target"} name
 * @param {string} label
 * @param {{removable: boolean, placeholder: string}} options
 */
export function createField(name, label, { removable, placeholder }) {
  const id = `sl-field-${name}`;
  const area = h("textarea", {
    id,
    placeholder,
    rows: 1,
    dir: "auto",
    autocomplete: "off",
    spellcheck: "false",
    enterkeyhint: "go",
    "data-testid": `sl-${name}`,
  });
  const unread = h("div", { class: "sl-backdrop", dir: "auto", "aria-hidden": "true" });
  const caption = h("label", { class: "sl-label", for: id }, label);
  const remove = quietButton("remove", { "aria-label": `Remove: ${label.toLowerCase()}`, hidden: !removable });
  remove.classList.add("sl-remove");
  const box = h("div", { class: "sl-grow" }, unread, area);
  const row = h("div", { class: "sl-field", hidden: removable }, caption, box, remove);

  /** As high as its text, up to four lines. */
  function fit() {
    const { lineHeight, paddingTop, paddingBottom } = getComputedStyle(area);
    const line = parseFloat(lineHeight) || 24;
    const padding = parseFloat(paddingTop) + parseFloat(paddingBottom) || 0;
    const most = MAX_LINES * line + padding;
    if (area.value.length > SURELY_FULL) {
      area.style.height = `${most}px`;
    } else {
      area.style.height = "auto";
      area.style.height = `${Math.min(area.scrollHeight, most)}px`;
    }
    unread.scrollTop = area.scrollTop;
  }

  /**
   * Mark what the model does not read: what stands before `start` and from `cut` on. A huge text is described in words
   * only.
   * @param {number} start @param {number} cut
   */
  function markUnread(start, cut) {
    const { value } = area;
    if ((start === 0 && cut >= value.length) || value.length > 5 * SURELY_FULL) return unread.replaceChildren();
    const mark = (/** @type {string} */ text) => text && h("span", { class: "sl-unread" }, text);
    unread.replaceChildren(mark(value.slice(0, start)), value.slice(start, cut), mark(value.slice(cut)));
    unread.scrollTop = area.scrollTop;
  }

  /** Scroll to the line of a character, as well as its share of the text tells. @param {number} index */
  function scrollTo(index) {
    area.scrollTop = area.scrollHeight * (index / Math.max(1, area.value.length));
    unread.scrollTop = area.scrollTop;
  }

  area.onscroll = () => (unread.scrollTop = area.scrollTop);
  return { name, area, row, caption, remove, fit, markUnread, scrollTo };
}
