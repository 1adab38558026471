/**
 * The explorer: all heads of a model, and one head in three linked pictures.
 *
 * `render` works in any page; the default export is what a components-v2 mount calls. Both may be called again on the
 * same root whenever data or theme change.
 *
 * @typedef {object} Data
 * @property {string | null} key       names the numbers under the data routes; null: nothing yet
 * @property {"full" | "embed"} mode
 * @property {{layer: number | string, head: number | "mean" | "max", query: number | null, key: number | null}} select  original token indices
 * @property {number} seed             when it changes, `select` and `options` are taken from here
 * @property {Record<string, any>} options
 * @property {{hide_special?: boolean, words?: boolean}} can
 * @property {string | null} link
 * @property {string} link_note
 * @property {Record<string, any> | null} [echo]  the choice that `link` stands for
 * @property {boolean} loading
 * @property {Record<string, boolean>} [exports]
 * @property {string} [base]                     where the data routes are, if not under the page
 * @property {Record<string, string>} [packs]    base64 packs of a standalone page, by route
 * @property {string} [css]                      the style sheet's text, for a standalone page
 *
 * @typedef {object} Callbacks
 * @property {(name: string, value: any) => void} [setState]
 * @property {(name: string, value: any) => void} [setTrigger]
 */
import { App } from "./app.js";

/** @type {WeakMap<ShadowRoot | HTMLElement, App>} */
const apps = new WeakMap();

/**
 * @param {ShadowRoot | HTMLElement} root
 * @param {Data} data
 * @param {Callbacks} [callbacks]
 * @returns {() => void} takes the view away again
 */
export function render(root, data, callbacks = {}) {
  let app = apps.get(root);
  if (!app) {
    app = new App(root, data);
    apps.set(root, app);
  }
  const mine = app;
  mine.update(data, callbacks);
  return () => {
    if (apps.get(root) === mine) apps.delete(root);
    mine.destroy();
  };
}

/** @param {{data: Data, parentElement: ShadowRoot | HTMLElement, setStateValue: (name: string, value: any) => void, setTriggerValue: (name: string, value: any) => void}} component */
export default function mount(component) {
  return render(component.parentElement, component.data, {
    setState: (name, value) => component.setStateValue(name, value),
    setTrigger: (name, value) => component.setTriggerValue(name, value),
  });
}
