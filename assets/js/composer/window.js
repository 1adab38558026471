/**
 * Which part of a long text is read: where it begins, the line that says so, and the way to the parts before and after.
 */

import { cutWords, nextStart, previousStart } from "./text.js";
import { quietButton } from "./field.js";
import { h } from "../base/dom.js";

/**
 * @param {HTMLTextAreaElement} area the whole text
 * @param {(index: number) => void} move another window is wanted, from this index on
 */
export function createWindow(area, move) {
  const line = h("p", { class: "sl-cut", hidden: true });
  /** Index from which the text is read, and what stands before it. */
  let start = 0;
  let skipped = "";

  /** Read the text from here on. @param {number} index */
  function startAt(index) {
    start = index;
    skipped = area.value.slice(0, index);
  }

  /** @param {string} words @param {() => void} act */
  function button(words, act) {
    const made = quietButton(words);
    made.onclick = act;
    return [" ", made];
  }

  return {
    line,
    startAt,
    get start() {
      return start;
    },
    /** The text was changed: where that was before the window, all of it is read from its beginning. */
    changed() {
      if (!area.value.startsWith(skipped)) startAt(0);
    },
    /**
     * Say what is read, unless it is everything.
     * @param {number} cut index from which nothing is read; the text's length: it is read to its end
     * @param {() => number} length of a window, in characters
     */
    draw(cut, length) {
      const { value } = area;
      line.hidden = start === 0 && cut === value.length;
      if (line.hidden) return;
      const before = () => move(previousStart(value, start, length()));
      const after = () => move(nextStart(value, start, cut));
      const select = () => {
        area.focus();
        area.setSelectionRange(cut, value.length);
      };
      line.replaceChildren(
        cutWords(value, cut, start),
        ...(start > 0 ? button("‹ Read what comes before", before) : []),
        ...(cut < value.length ? [...button("Read on ›", after), ...button("Select what is not read", select)] : []),
      );
    },
  };
}
