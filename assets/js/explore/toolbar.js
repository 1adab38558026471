/**
 * Options, files, link and help.
 *
 * @typedef {import("./app.js").App} App
 */
import { copied, createAddress } from "../base/copying.js";
import { h, mark, say } from "../base/dom.js";
import { FILES, save } from "../base/save.js";
import { advice } from "../base/words.js";

const WORDS = "Words, not pieces: sum over a word's keys, mean over its queries";
const TOGGLES = /** @type {const} */ ([
  ["hide_special", "hide special tokens", "Leave out [CLS], [SEP] and the like"],
  ["hide_first", "hide first token", "Leave out the first token, which often swallows attention"],
  ["renormalise", "renormalise rows", "Make each row sum to 1 again over what is shown"],
  ["words", "words, not pieces", WORDS],
  [
    "by_norm",
    "norm-based: ‖a·v·W_O‖",
    "What each key really adds: its weight times the length of its value through W_O, as a share of the row (Kobayashi et al. 2020)",
  ],
  ["per_head_scale", "scale per head", "Colours from 0 to the head's own maximum instead of 0 to 1"],
]);

/** @param {App} app */
export function createToolbar(app) {
  const boxes = TOGGLES.map(([name, text, title]) => {
    const input = h("input", { type: "checkbox", onchange: () => app.setOption(name, input.checked) });
    return { name, input, label: h("label", { class: "sl-toggle", title }, input, h("span", null, text)) };
  });
  const menu = h("div", { class: "sl-pop sl-menu", role: "group", "aria-label": "Files", hidden: true });
  const items = FILES.map((file) => {
    const button = h(
      "button",
      { type: "button", "data-file": file.name, onclick: () => run(file, button) },
      h("span", null, file.label),
      h("span", { class: "sl-second" }, file.says),
    );
    menu.append(button);
    return { file, button };
  });
  const saver = h("button", { type: "button", "data-testid": "sl-save", "aria-expanded": "false" }, "Save ▾");
  const copy = h("button", { type: "button", "data-testid": "sl-copy", onclick: () => copyLink() }, "Copy link");
  const help = h(
    "button",
    {
      type: "button",
      class: "sl-help",
      "aria-label": advice("Keyboard shortcuts and tour", "Gestures and tour"),
      title: advice("Keyboard shortcuts (?)", "Gestures and tour"),
      onclick: () => app.openHelp(),
    },
    "?",
  );
  const says = h("p", { class: "sl-status", role: "status" });
  const address = createAddress();
  const element = h(
    "div",
    { class: "sl-toolbar", "data-testid": "sl-toolbar", role: "group", "aria-label": "Options" },
    h("div", { class: "sl-toggles" }, ...boxes.map((box) => box.label)),
    says,
    h("div", { class: "sl-actions" }, h("span", { class: "sl-anchor" }, saver, menu), copy, help),
    address,
  );
  const close = app.popover(saver, menu);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {string} text @param {number} [ms] */
  function tell(text, ms = 6000) {
    say(says, text);
    clearTimeout(timer);
    if (ms) timer = setTimeout(() => say(says, ""), ms);
  }

  /** @param {typeof FILES[number]} file @param {HTMLButtonElement} button */
  async function run(file, button) {
    if (button.getAttribute("aria-disabled")) return;
    mark(button, "aria-disabled", true); // not disabled: it would lose the focus
    tell(`${file.label}: on its way…`, 0);
    try {
      await save(app, file);
      tell(`${file.label} saved.`);
      close();
    } catch (error) {
      tell(`${file.label} could not be saved. ${/** @type {Error} */ (error).message}`, 12000);
    }
    mark(button, "aria-disabled", null);
  }

  async function copyLink() {
    if (copy.getAttribute("aria-disabled")) return;
    mark(copy, "aria-disabled", true);
    address.hidden = true;
    const link = await app.sync.link();
    mark(copy, "aria-disabled", null);
    if (!link.url) return tell(link.says, 12000);
    if (await copied(link.url, address)) tell("Link copied. It opens this very view.");
    else tell("Copy the link from here:", 0);
  }

  function draw() {
    const { data, options } = app;
    const can = data.can ?? {};
    for (const { name, input, label } of boxes) {
      input.checked = Boolean(options[name]);
      const unavailable = app.inline && name !== "per_head_scale";
      label.hidden =
        unavailable ||
        (name === "hide_special" && can.hide_special === false) ||
        (name === "words" && can.words === false) ||
        (name === "by_norm" && can.by_norm === false);
      input.disabled = name === "renormalise" && !(options.hide_special || options.hide_first);
      mark(label, "data-off", input.disabled);
    }
    /** @type {HTMLElement} */ (saver.parentElement).hidden = app.inline;
    copy.hidden = app.inline;
    for (const { file, button } of items) button.hidden = data.exports?.[file.name] === false;
  }

  return { element, draw, tell };
}
