/**
 * The tokens of a text as a line of buttons: one is reached by Tab, the others from it by the arrow keys.
 *
 * @typedef {import("./data.js").Word} Word
 */
import { h } from "../base/dom.js";

/** @param {string} label @param {(at: number) => void} choose @param {string} [name]  a class of its own */
export function createTokens(label, choose, name = "") {
  const element = h("div", { class: `sl-tokens${name && ` ${name}`}`, role: "group", "aria-label": label });
  /** @type {HTMLButtonElement[]} */
  let buttons = [];

  element.onclick = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) choose(buttons.indexOf(button));
  };
  element.onkeydown = (event) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: buttons.length - 1,
    }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = buttons[Math.min(Math.max(to, 0), buttons.length - 1)];
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  };

  return {
    element,
    get buttons() {
      return buttons;
    },
    /**
     * Other tokens.
     * @param {Word[]} words
     * @param {number} entry the one that Tab reaches
     * @param {(i: number) => import("../base/dom.js").Attributes} [more]
     */
    show(words, entry, more = () => ({})) {
      buttons = words.map(({ t, w }, i) =>
        h(
          "button",
          {
            type: "button",
            class: `sl-token${w < i ? " sl-join" : ""}`,
            tabindex: i === entry ? "0" : "-1",
            ...more(i),
          },
          h("bdi", null, t),
        ),
      );
      element.replaceChildren(...buttons);
    },
    /** Put the focus on the one that Tab reaches. */
    focus: () => buttons.find((button) => button.tabIndex === 0)?.focus(),
  };
}
