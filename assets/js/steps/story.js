/**
 * Story: what a step means, in pictures of this head's own numbers.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { token } from "./lanes.js";
import { num } from "./parts.js";
import { x } from "./story/beginning.js";
import { scale } from "./story/scale.js";
import { changed, qkv, rotary, shared } from "./vectors.js";
import { mask, output, scores, softmax } from "./row.js";
import { joined, residual } from "./writes.js";

/** @param {Steps} app @returns {(Node | null)[]} */
export function story(app) {
  const said = HEADLINES[app.step.name]?.(app);
  return [said ? h("p", { class: "sl-headline" }, ...said) : null, ...(STORIES[app.step.name] ?? (() => []))(app)];
}

/**
 * The step in one sentence, with the numbers of the followed query and key.
 *
 * @type {Record<string, (app: Steps) => (Node | string)[]>}
 */
const HEADLINES = {
  scores: (app) => [
    token(app, "query"),
    " and ",
    token(app, "key"),
    " match with a score of ",
    num(app, "scores", [app.key]),
    ".",
  ],
  scale: (app) => [
    num(app, "scores", [app.key]),
    " × ",
    num(app, "scale"),
    " = ",
    num(app, "scaled", [app.key]),
    " for ",
    token(app, "key"),
    ". Its weight is ",
    num(app, "weights", [app.key]),
    "; without the scaling it would be ",
    num(app, "unscaled_weights", [app.key]),
    ".",
  ],
  softmax: (app) => [
    "Of all that ",
    token(app, "query"),
    " reads here, a share of ",
    num(app, "weights", [app.key]),
    " comes from ",
    token(app, "key"),
    ".",
  ],
  output: (app) => [
    token(app, "key"),
    " gives a vector of length ",
    num(app, "contribution", [app.key]),
    " to what ",
    token(app, "query"),
    " reads.",
  ],
  joined: (app) => [
    `Head ${app.meta.head} has a share of `,
    num(app, "head_shares", [app.meta.head]),
    " in what this layer writes for ",
    token(app, "query"),
    ".",
  ],
  residual: (app) => [
    "A vector of length ",
    num(app, "added_length"),
    " is added to one of length ",
    num(app, "resid_pre_length"),
    ".",
  ],
};

/** @type {Record<string, (app: Steps) => (Node | null)[]>} */
const STORIES = { x, qkv, norm: changed, rotary, shared, scores, scale, mask, softmax, output, joined, residual };
