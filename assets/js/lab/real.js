/**
 * Numbers of a real head: which layer, which head, which tokens of the text that the other pages show.
 *
 * @typedef {{name: string, layers: {label: string, n_heads: number}[], tokens: {text: string, special: boolean}[][],
 *   layer: number, head: number, chosen: number[], problem: string}} Model
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";
import { popover } from "../base/popover.js";
import { choice } from "./switches.js";

/**
 * The tokens that are proposed: those given if there are any, else the first ones that are words.
 * @param {Model["tokens"][number]} tokens
 * @param {number[]} [given]
 * @param {number} [most]
 */
export function proposed(tokens, given = [], most = 5) {
  if (given.length && given.every((i) => i < tokens.length)) return given;
  const plain = tokens.flatMap((token, i) => (token.special ? [] : [i]));
  const all = plain.length >= 3 ? plain : tokens.map((_, i) => i);
  return all.slice(0, most);
}

/** @param {Lab} app */
export function createReal(app) {
  const button = h("button", { type: "button", "aria-expanded": "false", "data-testid": "lab-real" }, "Real head");
  const says = h("p", { class: "sl-second" });
  const layer = choice("layer", [], () => fillRest());
  const head = choice("head", [], () => {});
  const tokens = h("div", { class: "lab-tokens", role: "group", "aria-label": "Tokens" });
  const count = h("p", { class: "sl-second", role: "status" });
  const copy = h(
    "button",
    { type: "button", class: "sl-primary", "data-testid": "lab-copy-real", onclick: take },
    "Copy q, k and v",
  );
  const back = h(
    "button",
    { type: "button", "data-testid": "lab-all-real", onclick: () => app.act({ do: "to_real" }) },
    "All cells back to real",
  );
  const panel = h(
    "div",
    { class: "sl-pop lab-pop", hidden: true, role: "group", "aria-label": "A real head" },
    says,
    h("div", { class: "lab-row" }, layer.element, head.element),
    tokens,
    count,
    h("div", { class: "lab-row" }, copy, back),
  );
  const close = popover(button, panel, app.life.signal);
  const open = button.onclick;
  button.onclick = (event) => {
    open?.call(button, event);
    if (!panel.hidden && (!app.data.model || app.data.model.problem)) app.act({ do: "look" });
  };
  let drawn = "";
  let filled = "";

  function chosen() {
    return [...tokens.querySelectorAll("input")].flatMap((box, i) => (box.checked ? [i] : []));
  }

  function tally() {
    const n = chosen().length;
    const { min_words: least, max_words: most } = app.data.limits;
    copy.disabled = n < least || n > most;
    say(
      count,
      n < least
        ? `${n} chosen; at least ${least} are needed.`
        : n > most
          ? `${n} chosen; at most ${most} fit.`
          : `${n} tokens chosen.`,
    );
  }

  function take() {
    app.act({ do: "real", layer: Number(layer.box.value), head: Number(head.box.value), tokens: chosen() });
    close();
  }

  /** Heads and tokens of the chosen layer. */
  function fillRest() {
    const { model } = app.data;
    const at = Number(layer.box.value);
    const n = model?.layers[at]?.n_heads ?? 0;
    head.fill(Array.from({ length: n }, (_, i) => [String(i), String(i)]));
    const list = model?.tokens[at] ?? [];
    const key = list.map((token) => token.text).join("\n");
    if (key === filled) return;
    filled = key;
    const first = new Set(proposed(list, at === model?.layer ? model.chosen : []));
    tokens.replaceChildren(
      ...list.map((token, i) => {
        const box = h("input", { type: "checkbox", onchange: tally });
        box.checked = first.has(i);
        return h("label", { class: "lab-token" }, box, h("bdi", null, token.text));
      }),
    );
    tally();
  }

  return {
    element: h("span", { class: "sl-anchor" }, button, panel),
    draw() {
      const { model, real } = app.data;
      back.hidden = !real;
      back.disabled = !real?.changed;
      for (const one of [layer.element, head.element, tokens, count, copy])
        one.hidden = !model || Boolean(model.problem);
      say(
        says,
        !model
          ? "The model is reading the text …"
          : model.problem ||
              `Take q, k and v of a head of ${model.name}, over a few tokens of the text on the page ` +
                "Explore, into editable cells.",
      );
      mark(panel, "aria-busy", !model);
      if (!model || model.problem) return;
      const key = JSON.stringify(model);
      if (key === drawn) return;
      drawn = key;
      layer.fill(model.layers.map((one, i) => [String(i), one.label]));
      layer.set(String(model.layer), false);
      fillRest();
      head.set(String(model.head), false);
      tally();
    },
  };
}
