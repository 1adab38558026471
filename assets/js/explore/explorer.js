/**
 * The explorer: all heads of a model, and one head in three linked pictures.
 *
 * `render` works in any page; the default export is what a components-v2 mount calls.
 *
 * @typedef {object} Data
 * @property {string | null} key       names the numbers under the data routes; null: nothing yet
 * @property {"full" | "embed"} mode
 * @property {{layer: number | string, head: import("../base/selection.js").Head, query: number | null, key: number |
 *   null}} select original token indices
 * @property {number} seed             when it changes, `select` and `options` are taken from here
 * @property {Partial<import("../base/options").Options>} options
 * @property {{hide_special?: boolean, words?: boolean, by_norm?: boolean}} [can]  what this trace allows
 * @property {string | null} link
 * @property {string} link_note
 * @property {Partial<import("../base/options").Choice> | null} [echo]  the choice that `link` stands for
 * @property {boolean} loading
 * @property {{tokens: string[], says: string} | null} [written]  what the model has just written into this text
 * @property {boolean} [given]        matrices of the visitor's own: no model is there to tour
 * @property {boolean} [first]                   true: the first frame's, until the page's own explorer has drawn it
 * @property {Record<string, boolean>} [exports]
 * @property {string} [base]                     where the data routes are, if not under the page
 * @property {Record<string, string>} [packs]    base64 packs of a standalone page, by route
 * @property {string} [css]                      the style sheet's text, for a standalone page
 *
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 */
import { App } from "./app.js";
import { mounting } from "../base/mounting.js";

const { render, mount } = mounting(App);
export { render, mount as default };
