/**
 * Copy link and Save, for a view of numbers under an address. What Save needs is fetched when it is pressed.
 *
 * @typedef {object} Kept  a file that can be saved
 * @property {string} name   @property {string} label   @property {string} says  what it is good for
 * @property {() => Promise<void>} make  hands it over; throws with a sentence where it cannot
 *
 * @typedef {{part: HTMLElement, lines: string[], name: string}} Slide what is drawn, the lines over it, the file's name
 */
import { copied, createAddress } from "../base/copying.js";
import { h, mark, say } from "../base/dom.js";
import { popover } from "../base/popover.js";
import { linkOf } from "./link.js";

/**
 * @param {import("./link.js").Linked & {life: AbortController}} view
 * @param {Kept[]} files
 */
export function createKeeping(view, files) {
  const says = h("span", { class: "sl-keep-says", role: "status" });
  const address = createAddress();
  const menu = h("div", { class: "sl-pop sl-menu", role: "group", "aria-label": "Files", hidden: true });
  const saver = h("button", { type: "button", "data-testid": "sl-save", "aria-expanded": "false" }, "Save ▾");
  const copy = h("button", { type: "button", "data-testid": "sl-copy", onclick: () => copyLink() }, "Copy link");
  for (const file of files) {
    const button = h(
      "button",
      { type: "button", "data-file": file.name, onclick: () => save(file, button) },
      h("span", null, file.label),
      h("span", { class: "sl-second" }, file.says),
    );
    menu.append(button);
  }
  const close = popover(saver, menu, view.life.signal);
  const element = h("div", { class: "sl-keep" }, says, h("span", { class: "sl-anchor" }, saver, menu), copy, address);

  /**
   * One press at a time; the button keeps the focus meanwhile.
   * @param {HTMLButtonElement} button
   * @param {() => Promise<string>} work
   */
  async function once(button, work) {
    if (button.getAttribute("aria-disabled")) return;
    mark(button, "aria-disabled", true);
    say(says, await work().catch((error) => `${/** @type {Error} */ (error).message}`));
    mark(button, "aria-disabled", null);
  }

  /** @param {Kept} file @param {HTMLButtonElement} button */
  const save = (file, button) =>
    once(button, async () => {
      say(says, `${file.label}: on its way…`);
      await file.make();
      close();
      return `${file.label} saved.`;
    });

  const copyLink = () =>
    once(copy, async () => {
      address.hidden = true;
      const { url, says: why } = await linkOf(view);
      if (!url) return why;
      return (await copied(url, address)) ? "Link copied. It opens this very view." : "Copy the link from here:";
    });

  return { element };
}

/**
 * A part of the view as a picture for a slide: vectors that other programs can edit, or pixels.
 *
 * @param {() => Slide} shown
 * @returns {Kept[]}
 */
export function asPictures(shown) {
  /** @param {"svg" | "png"} end */
  const make = async (end) => {
    const [{ drawn }, { download, rasterise }] = await Promise.all([import("./drawn.js"), import("../base/save.js")]);
    const { part, lines, name } = shown();
    const svg = new Blob([drawn(part, lines)], { type: "image/svg+xml" });
    download(end === "png" ? await rasterise(svg) : svg, `${name}.${end}`);
  };
  return [
    { name: "png", label: "Picture, PNG", says: "for slides", make: () => make("png") },
    { name: "svg", label: "Picture, SVG", says: "for print", make: () => make("svg") },
  ];
}
