/**
 * One score, component under component: the query, the key, their products, and the sum that they grow into.
 *
 * It stands there whole. Whoever wants to see it grow goes through the components one by one, or lets them run.
 *
 * @typedef {import("../steps.js").Steps} Steps
 */
import { h, say } from "../../base/dom.js";
import { topOf } from "../../picture/signed.js";
import { token } from "../lanes.js";
import { written } from "../number.js";
import { num, strip } from "../parts.js";
import { productsOf } from "../products.js";

/** All components together take so long, ms; none stands still for longer than 150. */
const RUN = 3000;
const LONGEST = 150;
const SVG = "http://www.w3.org/2000/svg";

/** @param {Steps} app */
export function pair(app) {
  const { key } = app;
  const n = app.arrays.q.data.length;
  const pack = productsOf(app, "scores", [key]);
  const top = Math.max(topOf(app.arrays.q.data), topOf(app.vector("k", key) ?? []));
  const products = bars(pack?.arrays.products.data ?? new Float32Array(0), "products of the components");
  const sums = bars(pack?.arrays.sums.data ?? new Float32Array(0), "sum of the products so far", true);
  const at = h("span", { class: "sl-pair-at", "aria-hidden": "true" });
  const told = h("span", { class: "sl-pair-told" });
  const lines = h(
    "div",
    { class: "sl-pair-lines" },
    name("query", "q of ", token(app, "query")),
    cell("query", strip(app, "q", null, { top, label: `query of ${app.queryToken}` })),
    h("span"),
    name("key", "k of ", token(app, "key")),
    cell("key", strip(app, "k", key, { top, label: `key of ${app.keys[key].t}` })),
    h("span"),
    name("", "q · k, each"),
    cell("products", products),
    h("span"),
    name("", "added up"),
    cell("sums", sums),
    h("span", { class: "sl-pair-score" }, "= ", num(app, "scores", [key])),
    h("span", { class: "sl-pair-over", "aria-hidden": "true" }, at),
  );
  const section = h(
    "section",
    { class: "sl-pair", "aria-label": "One score, component by component", "data-testid": "sl-one-score" },
    lines,
  );
  if (!pack) return section;
  const to = (/** @type {number} */ added) => {
    app.added = added < n ? added : null;
    lines.style.setProperty("--done", String(added / n));
    at.style.left = `${(100 * Math.max(added - 1, 0)) / n}%`;
    at.style.width = `${100 / n}%`;
    at.hidden = added === 0 || added === n;
    section.dataset.added = String(added);
    saying(app, told, pack, added);
  };
  to(app.added ?? n);
  section.append(controls(app, n, to), told);
  return section;
}

/** @param {string} role @param {...(Node | string)} what */
function name(role, ...what) {
  return h("span", { class: "sl-pair-name", "data-role": role || null }, ...what);
}

/** @param {string} line @param {Element} picture */
function cell(line, picture) {
  const place = h("span", { class: "sl-pair-cell", "data-line": line });
  place.append(picture);
  return place;
}

/**
 * A bar for each number, from 0 up or down, on a scale of its own.
 * @param {ArrayLike<number>} values @param {string} label @param {boolean} [sum]
 */
function bars(values, label, sum = false) {
  const svg = document.createElementNS(SVG, "svg");
  const n = Math.max(values.length, 1);
  const attributes = {
    viewBox: `0 0 ${n} 100`,
    preserveAspectRatio: "none",
    class: `sl-pair-bars${sum ? " sl-pair-sums" : ""}`,
    role: "img",
    "aria-label": label,
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const [low, high] = [Math.min(0, ...Array.from(values)), Math.max(0, ...Array.from(values))];
  const unit = 96 / (high - low || 1);
  const zero = 2 + high * unit;
  /** @param {string} kind @param {Record<string, number>} place */
  const rect = (kind, place) => {
    const one = document.createElementNS(SVG, "rect");
    one.setAttribute("class", kind);
    for (const [key, value] of Object.entries(place)) one.setAttribute(key, String(value));
    svg.append(one);
  };
  for (let i = 0; i < values.length; i++) {
    const tall = Math.max(Math.abs(values[i]) * unit, 0.5);
    const kind = values[i] < 0 ? "sl-under" : "sl-above";
    rect(kind, { x: i + 0.08, width: 0.84, y: values[i] < 0 ? zero : zero - tall, height: tall });
  }
  rect("sl-zero", { x: 0, width: n, y: zero - 0.5, height: 1 });
  return svg;
}

/**
 * Through the components by hand, or all of them one after another.
 * @param {Steps} app @param {number} n @param {(added: number) => void} to
 */
function controls(app, n, to) {
  const now = () => app.added ?? n;
  const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ act) =>
    h(
      "button",
      { type: "button", "aria-label": label, title: label, "data-focus": `pair:${label}`, onclick: act },
      sign,
    );
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const run = h("button", { type: "button", "data-focus": "pair:run", "data-testid": "sl-pair-run" }, "▶ add them up");
  const stop = () => {
    app.stop();
    app.stop = () => {};
  };
  run.onclick = () => {
    if (run.getAttribute("aria-pressed") === "true") return stop();
    stop();
    if (now() === n) to(0);
    const timer = setInterval(
      () => {
        to(now() + 1);
        if (now() === n) stop();
      },
      Math.min(RUN / n, LONGEST),
    );
    run.setAttribute("aria-pressed", "true");
    say(run, "❚❚ stop");
    app.stop = () => {
      clearInterval(timer);
      run.setAttribute("aria-pressed", "false");
      say(run, "▶ add them up");
    };
  };
  /** @param {number} added */
  const by = (added) => {
    stop();
    to(Math.min(Math.max(added, 0), n));
  };
  return h(
    "p",
    { class: "sl-stepping" },
    button("«", "from the first component", () => by(1)),
    button("‹", "one component less", () => by(now() - 1)),
    button("›", "one component more", () => by(now() === n ? 1 : now() + 1)),
    still ? null : run,
  );
}

/**
 * What the last product is, and what the sum has come to.
 * @param {Steps} app @param {HTMLElement} told @param {import("../packs").ProductsPack} pack @param {number} added
 */
function saying(app, told, { arrays: { left, right, products, sums } }, added) {
  const n = products.data.length;
  const number = (/** @type {number} */ value, /** @type {string} */ side, /** @type {number} */ i) =>
    h("span", { class: "sl-num", "data-product": side, "data-i": i }, written(value, app.digits));
  if (added === 0) return told.replaceChildren("Nothing is added up yet.");
  const i = added - 1;
  if (added === n)
    return told.replaceChildren(`All ${n} products added up are the score: `, num(app, "scores", [app.key]), ".");
  told.replaceChildren(
    `Component ${i}: `,
    number(left.data[i], "left", i),
    " × ",
    number(right.data[i], "right", i),
    " = ",
    number(products.data[i], "products", i),
    `; after ${added} of ${n} the sum is `,
    number(sums.data[i], "sums", i),
    ".",
  );
}
