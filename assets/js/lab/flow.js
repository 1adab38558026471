/**
 * All matrices in the order in which they come about, laid out as a product is written: the left factor to the left,
 * the right factor above, the product where they meet.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { focusedBy, h, mark, say } from "../base/dom.js";
import { charsOf, look } from "./grid.js";

const BANDS = [
  ["maps", "1", "Every word makes a query, a key and a value: three linear maps"],
  ["weights", "2", "Every query meets every key: scores, scaled, masked, made into weights"],
  ["output", "3", "Every word takes a weighted sum of the values; the heads are joined and mapped back"],
];
/** Widths in units of the type size. */
const CELL = 3.1;
const LETTER = 0.61;
const GAP = 2.2;
const CARD = 21;

/**
 * How the first band is laid out: "cross" if X and the three maps fit side by side, "beside" if what is to be noticed
 * fits there too, else "rows".
 *
 * @param {{shape: number[], rows: string[]}[]} side  the matrices that would stand side by side
 * @param {number} width  pixels there are @param {number} size  of the type, pixels
 */
export function layoutOf(side, width, size) {
  const label = Math.max(...side.map(({ rows }) => labelOf(rows)));
  let needed = 0;
  for (const { shape } of side) needed += (shape[1] * CELL + label * LETTER + 1 + GAP) * size;
  if (needed + CARD * size <= width) return "beside";
  return needed <= width ? "cross" : "rows";
}

/**
 * True if the maps of the second band fit on one line only when those between the first and the last do without the
 * words.
 *
 * @param {string[]} words @param {{folded: boolean, chars: number}[]} all the maps, and the characters of their longest
 *   number
 * @param {number} width @param {number} size
 */
export function tightly(words, all, width, size) {
  const label = (labelOf(words) * LETTER + 0.7) * size;
  const fold = 8.5 * size;
  const between = all.slice(1, -1).filter((one) => !one.folded).length;
  const maps = all.map(({ folded, chars }) => (folded ? fold : (words.length * (chars * LETTER + 0.42) + 2) * size));
  const rest = maps.reduce((sum, one) => sum + one, 0) + 2 * label + (all.length - 1) * size;
  return rest + between * label > width && rest <= width;
}

/** Characters of the longest label, up to a bound. @param {string[]} labels */
export function labelOf(labels) {
  return Math.min(Math.max(...labels.map((label) => [...label].length), 2), 9);
}

/** @param {Lab} app @param {HTMLElement} card */
export function createFlow(app, card) {
  const bands = BANDS.map(([name, number, title]) => {
    const body = h("div", { class: "lab-matrices", "data-band": name });
    const heading = h("h3", { id: `lab-band-${name}` }, h("span", { class: "lab-number" }, number), title);
    return {
      name,
      heading,
      body,
      element: h("section", { class: "lab-band", "aria-labelledby": `lab-band-${name}` }, heading, body),
    };
  });
  const [maps, weights, output] = bands;
  const heads = createHeads(app);
  const before = h("div", { class: "lab-matrices", "data-band": "before", hidden: true });
  maps.element.insertBefore(before, maps.body);
  weights.element.insertBefore(heads.element, weights.body);
  const sums = h("span", null);
  const legend = h(
    "p",
    { class: "lab-legend" },
    h("span", { class: "lab-swatches", "data-of": "weights", "aria-hidden": "true" }),
    "weights, 0 to 1: row looks at column; ",
    sums,
    h("span", { class: "lab-swatches", "data-of": "signed", "aria-hidden": "true" }),
    "other numbers: negative to positive, up to the matrix’s largest (at least 1). Hatched: masked.",
  );
  weights.element.append(legend);
  const element = h("div", { class: "lab-flow" }, ...bands.map((band) => band.element));
  let drawn = "";

  /** @param {string} name */
  const figure = (name) => {
    const matrix = app.shown(name);
    return matrix ? app.grid(matrix.id).element : null;
  };
  /** @param {string} sign */
  const sign = (sign) => h("span", { class: "lab-sign", "aria-hidden": "true" }, sign);

  /** @param {...(string | null)} names  signs are those that are no matrix */
  const line = (...names) =>
    names.flatMap((name) => {
      if (name === null) return [];
      if (/^[^a-z]/.test(name)) return [sign(name)];
      const found = figure(name);
      return found ? [found] : [];
    });

  function arrange() {
    const has = (/** @type {string} */ name) => app.shown(name) !== undefined;
    const { direct } = app.data;
    const width = element.clientWidth || 1200;
    const size = parseFloat(getComputedStyle(app.frame.host).fontSize) || 14;
    const left = has("x_p") ? "x_p" : "x";
    const side = direct ? ["q", "k", "v"] : [left, "w_q", "w_k", "w_v"];
    const sides = side.flatMap((name) => app.shown(name) ?? []);
    const layout = layoutOf(sides, width, size);
    const names = [...app.found.values()]
      .filter((one) => one.head === null || one.head === app.head)
      .map((one) => one.id);
    const tight = tightly(
      [...app.data.words],
      ["scores", "bias", "scaled", "masked", "weights"]
        .flatMap((name) => app.shown(name) ?? [])
        .map((one) => ({ folded: app.repeats(one) && !app.unfolded.has(one.name), chars: charsOf(one) })),
      width,
      size,
    );
    mark(weights.body, "data-tight", tight);
    const key = `${layout}|${direct}|${names}`;
    if (key === drawn) return;
    drawn = key;
    const focus = /** @type {HTMLElement | null} */ (focusedBy(app.frame.host));
    mark(maps.body, "data-layout", direct ? "direct" : layout === "rows" ? "rows" : "cross");
    const beside = layout === "beside" && !direct;
    mark(card, "data-beside", beside);
    before.hidden = !has("x_p");
    before.replaceChildren(...(has("x_p") ? line("x", "+", "positions", "=") : []));
    const columns = ["q", "k", "v"].map((name) =>
      h(
        "div",
        { class: "lab-role", "data-role": { q: "query", k: "key", v: "value" }[name] ?? null },
        ...(direct ? [] : line(`w_${name}`)),
        ...line(name, `${name}_r`),
      ),
    );
    maps.body.replaceChildren(
      ...(direct ? [] : [h("div", { class: "lab-role lab-corner" }, ...line(left))]),
      ...columns,
      ...(beside ? [card] : []),
    );
    if (!beside) element.prepend(card);
    weights.body.replaceChildren(...line("scores", has(`bias`) ? "bias" : null, "scaled", "masked", "weights"));
    output.body.replaceChildren(...line("output", "joined", "w_o", "projected"));
    if (focus?.isConnected) focus.focus?.({ preventScroll: true });
  }

  return {
    element,
    draw() {
      const { words, matrices } = app.data;
      const rows = (/** @type {string} */ name) => matrices.find((one) => one.name === name)?.rows ?? [];
      // maps stand above what they make
      maps.element.style.setProperty("--label", `${labelOf([...words, ...rows("w_q")])}`);
      for (const band of [weights, output]) band.element.style.setProperty("--label", `${labelOf([...words])}`);
      if (app.found.has("w_o")) app.grid("w_o").element.style.setProperty("--label", `${labelOf(rows("w_o"))}`);
      arrange();
      const [, , title] = BANDS[0];
      say(
        /** @type {Node} */ (maps.heading.lastChild),
        app.data.direct ? "Queries, keys and values of a real head, copied; every cell can be changed" : title,
      );
      say(
        sums,
        app.data.switches.softmax === "none"
          ? "without softmax rows need not sum to 1, and a weight may be negative. "
          : "each row sums to 1. ",
      );
      heads.draw();
      for (const matrix of matrices)
        if (matrix.head === null || matrix.head === app.head) app.grid(matrix.id).update(matrix);
    },
  };
}

/** One small map for each head; choosing one shows its numbers. @param {Lab} app */
function createHeads(app) {
  const element = h("div", { class: "lab-heads", role: "group", "aria-label": "Head" });
  return {
    element,
    draw() {
      const { n_heads: n } = app.data;
      element.hidden = n < 2;
      if (n < 2) return;
      if (element.childElementCount !== n) {
        element.replaceChildren(
          ...Array.from({ length: n }, (_, head) =>
            h(
              "button",
              { type: "button", "data-head": head, onclick: () => app.chooseHead(head) },
              h("span", { class: "lab-mini", "aria-hidden": "true" }),
              h("span", null, `head ${head + 1}`),
            ),
          ),
        );
      }
      [...element.children].forEach((button, head) => {
        mark(button, "aria-pressed", String(head === app.head));
        const matrix = app.found.get(`weights:${head}`);
        if (matrix) miniature(/** @type {HTMLElement} */ (button.firstChild), matrix, app);
      });
    },
  };
}

/**
 * A matrix without its numbers.
 * @param {HTMLElement} element
 * @param {import("./numbers.js").Matrix} matrix
 * @param {Lab} app
 */
export function miniature(element, matrix, app) {
  const [rows, columns] = matrix.shape;
  element.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
  if (element.childElementCount !== rows * columns)
    element.replaceChildren(...Array.from({ length: rows * columns }, () => h("i", null)));
  const top = Math.max(1, ...matrix.values.map((x) => Math.abs(x ?? 0)));
  matrix.values.forEach((value, i) => {
    const cell = /** @type {HTMLElement} */ (element.children[i]);
    cell.style.backgroundColor = look(value, matrix.kind, top, app.colours)?.background ?? "";
    mark(cell, "data-masked", value === null);
  });
}
