/**
 * The gallery: a button that opens a list of sentences, each with what to look for. Choosing one closes it.
 */

import { byTopic, moveActive } from "./text.js";
import { h } from "../base/dom.js";

/** @typedef {import("./text.js").Example} Example */

let galleries = 0; // for ids that stay unique in one shadow root

/**
 * @param {(example: Example) => void} choose
 * @returns {{button: HTMLButtonElement, panel: HTMLElement, show: (examples: Example[]) => void, close: () => void}}
 */
export function createGallery(choose) {
  const prefix = `sl-gallery-${++galleries}`;
  const list = h("div", {
    class: "sl-options",
    id: prefix,
    role: "listbox",
    tabindex: 0,
    "aria-label": "Examples: each fills the text box",
  });
  const panel = h("div", { class: "sl-panel", popover: "auto" }, list);
  const button = h(
    "button",
    {
      class: "sl-quiet",
      type: "button",
      "aria-haspopup": "listbox",
      "aria-expanded": "false",
      "data-testid": "sl-examples",
    },
    "Examples",
    h("span", { "aria-hidden": "true" }, " ▾"),
  );

  /** @type {Example[]} */ let examples = [];
  /** @type {HTMLElement[]} */ let options = [];
  let active = -1;

  /** @param {number} index */
  function activate(index, { scroll = true } = {}) {
    options[active]?.setAttribute("aria-selected", "false");
    active = index;
    const option = options[active];
    option?.setAttribute("aria-selected", "true");
    if (option) list.setAttribute("aria-activedescendant", option.id);
    else list.removeAttribute("aria-activedescendant");
    if (scroll) option?.scrollIntoView({ block: "nearest" });
  }

  function close() {
    if (panel.matches(":popover-open")) panel.hidePopover();
  }

  /** @param {number} index */
  function pick(index) {
    const example = examples[index];
    if (!example) return;
    close();
    choose(example);
  }

  /** Under the button, inside the window; the whole width on a narrow one. */
  function place() {
    const { left, right, bottom } = button.getBoundingClientRect();
    const { innerWidth, innerHeight } = window;
    const width = Math.min(560, innerWidth - 16);
    const x = Math.max(8, Math.min(left, innerWidth - width - 8, right));
    const below = innerHeight - bottom - 16;
    const top = below >= 240 ? bottom + 4 : 8;
    Object.assign(panel.style, {
      left: `${x}px`,
      top: `${top}px`,
      width: `${width}px`,
      maxHeight: `${Math.max(160, innerHeight - top - 8)}px`,
    });
  }

  /** @param {Example} example @param {number} index */
  function option(example, index) {
    const { text, pair, target } = example;
    const sentence = pair ? `${text} ‖ ${pair}` : target ? `${text} → ${target}` : text;
    return h(
      "div",
      {
        class: "sl-option",
        id: `${prefix}-${index}`,
        role: "option",
        "aria-selected": "false",
        onclick: () => pick(index),
        onpointermove: () => active === index || activate(index, { scroll: false }),
      },
      h("div", { class: "sl-option-title" }, example.title),
      h("div", { class: "sl-option-text", dir: "auto" }, sentence),
      h("div", { class: "sl-option-look" }, `Look for: ${example.look_for}`),
    );
  }

  /** @param {Example[]} next */
  function show(next) {
    const groups = byTopic(next);
    examples = groups.flatMap((group) => group.examples);
    options = examples.map(option);
    active = -1;
    let index = 0;
    const nodes = groups.map((group, g) => {
      const id = `${prefix}-topic-${g}`;
      const heading = h("div", { class: "sl-topic", id, role: "presentation" }, group.topic);
      return h("div", { role: "group", "aria-labelledby": id }, heading, ...group.examples.map(() => options[index++]));
    });
    list.replaceChildren(...nodes);
    button.hidden = examples.length === 0;
  }

  button.onclick = () => panel.togglePopover();
  panel.onbeforetoggle = (event) => event.newState === "open" && place();
  panel.ontoggle = (event) => {
    const open = event.newState === "open";
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    window.addEventListener("resize", close, { once: true }); // its place is computed once
    list.focus({ preventScroll: true });
    if (active < 0) activate(0);
  };
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") pick(active);
    else if (event.key === "Escape") {
      close();
      button.focus();
    } else {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const next = moveActive(
        event.key,
        active,
        examples.map((example) => example.title),
      );
      if (next === null) return;
      activate(next);
    }
    event.preventDefault();
  });
  return { button, panel, show, close };
}
