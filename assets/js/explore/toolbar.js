/**
 * The answer in words, and beside it options, files, link and help.
 *
 * @typedef {import("./app.js").App} App
 * @typedef {import("../base/options").Options} Options
 */
import { copied, createAddress } from "../base/copying.js";
import { h, mark, say } from "../base/dom.js";
import { FILES, save } from "../base/save.js";
import { advice } from "../base/words.js";
import { createAnswer } from "./first/answer.js";
import { createFolded } from "./first/folded.js";

/** @param {App} app */
export function createToolbar(app) {
  const answer = createAnswer(app);
  const folded = createFolded(app);
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
  const compare = h(
    "button",
    {
      type: "button",
      "data-testid": "sl-compare-with",
      title: "Put this beside another text, model or head",
      onclick: () => app.leave("compare"),
    },
    "Compare with …",
  );
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
    { class: "sl-toolbar", "data-testid": "sl-toolbar", role: "group", "aria-label": "Answer and tools" },
    answer.element,
    h(
      "div",
      { class: "sl-actions" },
      folded.element,
      compare,
      h("span", { class: "sl-anchor" }, saver, menu),
      copy,
      help,
      says,
    ),
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
    const { data } = app;
    answer.draw();
    folded.draw();
    /** @type {HTMLElement} */ (saver.parentElement).hidden = app.inline;
    copy.hidden = compare.hidden = app.inline;
    compare.hidden ||= data.mode === "embed";
    compare.disabled = Boolean(data.first);
    copy.disabled = Boolean(data.first);
    for (const { file, button } of items) button.hidden = data.exports?.[file.name] === false;
  }

  return { element, draw, tell };
}
