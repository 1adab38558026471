/**
 * The first step: the word's embedding, what was put in and added to it, and so what this layer reads.
 *
 * @typedef {import("../steps.js").Steps} Steps
 */
import { h } from "../../base/dom.js";
import { count } from "../../base/words.js";
import { topOf } from "../../picture/signed.js";
import { lane, legend, token } from "../lanes.js";
import { keyTable, strip } from "../parts.js";
import { sum } from "./sum.js";

/** @param {Steps} app @returns {(Node | null)[]} */
export function x(app) {
  const shown = app.shownKeys();
  const top = app.has("x_keys") ? app.top("x_keys", shown) : topOf(app.vector("x", null) ?? []);
  const came = begun(app);
  return [
    came,
    app.has("x") && !(came && asItCame(app))
      ? lane(
          came ? "normed: x" : `query ${app.meta.query}`,
          strip(app, "x", null, { top, label: `input of query ${app.queryToken}` }),
          "query",
          token(app, "query"),
        )
      : null,
    app.has("x_keys")
      ? h("h3", null, `And every other token has its own x, ${size(app, "x_keys")} numbers each`)
      : null,
    app.has("x_keys")
      ? keyTable(app, "Input of every key token", [
          { head: "x_j", wide: true, cell: (j) => strip(app, "x_keys", j, { top, label: `input of key ${j}` }) },
        ])
      : null,
    legend(app),
  ];
}

/** From the word to this layer. @param {Steps} app */
function begun(app) {
  const { meta } = app;
  const word = token(app, "query");
  const first = !app.has("gathered");
  const last = app.has("stream") ? "stream" : first ? "start" : "x";
  const before = meta.kind === "cross" ? "what came before has added" : layersBefore(meta.place);
  /** @type {import("./sum.js").Term[]} */
  const terms = app.has("embedding")
    ? [{ tensor: "embedding", name: ["embedding of ", word], sign: "" }]
    : [{ tensor: "start", name: ["enters layer 0 for ", word], sign: "" }];
  if (app.has("position")) terms.push({ tensor: "position", name: ["its position"], sign: "+" });
  if (app.has("put_in")) terms.push({ tensor: "put_in", name: ["what is put in before layer 0"], sign: "+" });
  if (!first) terms.push({ tensor: "gathered", name: [before], sign: "+" });
  if (terms.length > 1)
    terms.push({
      tensor: last,
      name: [last === "x" ? "input x of this layer" : "enters this layer"],
      sign: "=",
      role: last === "x" ? "query" : "",
    });
  return sum(app, `How this vector came about, ${size(app, last)} numbers`, terms);
}

/** @param {string} place  the layer in words */
function layersBefore(place) {
  const n = Number(/\d+/.exec(place)?.[0] ?? 0);
  return n === 1 ? "layer 0 has added" : `layers 0 to ${n - 1} have added`;
}

/** How long a vector of this tensor is. @param {Steps} app @param {string} name */
function size(app, name) {
  return count(app.step.tensors[name]?.at(-1) ?? 0);
}

/** Is x what came, number for number? @param {Steps} app */
function asItCame(app) {
  if (app.has("stream")) return false;
  if (app.has("gathered")) return true;
  const [x, start] = [app.vector("x", null), app.vector("start", null)];
  return Boolean(x && start && x.length === start.length && Array.from(x).every((one, i) => one === start[i]));
}
