/**
 * What every view stands in: its style sheet, a probe that colours are read from, and the host that holds the rest.
 *
 * @typedef {ReturnType<typeof createShell>} Shell
 */
import { asset } from "./addresses.js";
import { h } from "./dom.js";

/** A style sheet that does not come must not hide the view for ever, ms. */
const PATIENCE = 3000;

/**
 * Put a view's shell into the page. It is hidden until its style sheet is there (`View.whenStyled`): painting before
 * would flash.
 *
 * @param {ShadowRoot | HTMLElement} root
 * @param {object} how
 * @param {string} how.sheet      name of the style sheet
 * @param {string} [how.css]      its text, for a page that carries it
 * @param {string} [how.name]     a class of the view's own
 * @param {string} [how.testid]
 * @param {...Node} children
 */
export function createShell(root, { sheet, css, name, testid }, ...children) {
  const style = css ? h("style", null, css) : h("link", { rel: "stylesheet", href: asset(`css/${sheet}`).href });
  const probe = h("span", { class: "sl-probe", "aria-hidden": "true" });
  const host = h(
    "div",
    { class: name ? `sl-root ${name}` : "sl-root", "data-testid": testid, style: "visibility: hidden" },
    probe,
    ...children,
  );
  /** @type {Promise<void>} */
  const styled = css
    ? Promise.resolve()
    : new Promise((resolve) => {
        const timer = setTimeout(resolve, PATIENCE);
        style.onload = style.onerror = () => {
          clearTimeout(timer);
          resolve();
        };
      });
  root.append(style, host);
  return {
    host,
    probe,
    /** Resolves when the style sheet is there. */
    styled,
    remove() {
      style.remove();
      host.remove();
    },
  };
}
