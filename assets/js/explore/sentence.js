/**
 * The sentence itself, its tokens shaded by the weights of the marked query (or of the queries that look at the marked
 * key; without a mark, by the attention that each token receives on average).
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say } from "../base/dom.js";
import { windowAround } from "../picture/layout.js";
import { received } from "../picture/matrix.js";
import { css, rampAt, textOn } from "../base/scale.js";
import { active } from "../base/selection.js";
import { MASKED } from "../base/wire.js";
import { advice, count, quoted } from "../base/words.js";

/** Tokens written out at once. */
const SHOWN = 200;

/** @param {App} app */
export function createSentence(app) {
  const words = h("p", { class: "sl-caption sl-shaded", "aria-live": "off" });
  const lines = [createLine(app, "query"), createLine(app, "key")];
  const element = h(
    "div",
    { class: "sl-sentence", "data-testid": "sl-sentence" },
    words,
    ...lines.map((line) => line.element),
  );
  /** @type {{matrix: import("../picture/matrix.js").Matrix | null, weights: Float32Array | null}} */
  let average = { matrix: null, weights: null };

  function draw() {
    const { matrix, selection, overview } = app;
    if (!matrix || !overview) return;
    const cross = app.queries !== app.keys;
    const now = active(selection);
    if (average.matrix !== matrix) average = { matrix, weights: received(matrix) };
    const line = now
      ? matrix.line(now.query !== null ? "query" : "key", /** @type {number} */ (now.query ?? now.key))
      : null;
    /** @type {Float32Array | null} */
    const weights = now ? (line?.weights ?? null) : average.weights;
    const byKey = now !== null && now.query === null;
    say(words, says(now, weights === null));
    // Self-attention has one sentence; cross-attention has two, and the weights shade the one that is looked at.
    lines[0].element.hidden = !cross;
    if (cross) lines[0].draw(byKey ? weights : null, now?.query ?? null);
    lines[1].draw(
      cross && byKey ? null : weights,
      cross ? (now?.key ?? null) : (now?.query ?? now?.key ?? null),
      cross ? null : now,
    );
  }

  /** @param {import("../base/selection.js").Mark | null} now @param {boolean} unknown */
  function says(now, unknown) {
    const tail = unknown ? " (waiting for the exact row…)" : "";
    if (now?.query != null) return `shaded: what ${quoted(app.queries[now.query]?.t ?? "")} looks at${tail}`;
    if (now?.key != null) return `shaded: what looks at ${quoted(app.keys[now.key]?.t ?? "")}${tail}`;
    return unknown
      ? `${advice("hover or pin", "tap")} a token to shade what it looks at`
      : "shaded: the mean attention each token receives";
  }

  return { element, draw };
}

/** One row of tokens. @param {App} app @param {"query" | "key"} side */
function createLine(app, side) {
  const name = h("span", { class: `sl-side sl-${side}` });
  const tokens = h("div", { class: "sl-tokens", role: "group" });
  const range = h("span", null);
  const back = h("button", { type: "button", "aria-label": "Earlier tokens" }, "◀");
  const on = h("button", { type: "button", "aria-label": "Later tokens" }, "▶");
  const more = h("div", { class: "sl-range" }, back, range, on);
  const element = h("div", { class: "sl-line" }, name, tokens, more);
  /** @type {HTMLButtonElement[]} */
  let spans = [];
  /** @type {import("../picture/overview.js").Token[] | null} */
  let shownTokens = null;
  let from = 0;
  let start = 0;
  /**
   * @type {import("../base/selection.js").Mark | null} the mark at which the reader turned the page: it does not turn
   *   back by itself
   */
  let turned = null;

  const axis = () => (app.queries === app.keys || side === "query" ? "query" : "key");
  const indexOf = (/** @type {Event} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target).closest?.("button");
    return target ? Number(target.dataset.at) : -1;
  };
  const asMark = (/** @type {number} */ at) =>
    axis() === "query" ? { query: at, key: null } : { query: null, key: at };
  tokens.onpointerover = (event) => {
    const at = indexOf(event);
    if (at >= 0) app.dispatch({ type: "hover", ...asMark(at) });
  };
  tokens.onpointerleave = () => app.dispatch({ type: "leave" });
  tokens.onclick = (event) => {
    const at = indexOf(event);
    if (at >= 0) app.dispatch({ type: "pin", ...asMark(at) });
  };
  tokens.addEventListener("focusin", (event) => {
    const at = indexOf(event);
    if (at < 0) return;
    for (const span of spans) span.tabIndex = Number(span.dataset.at) === at ? 0 : -1;
    if (/** @type {HTMLElement} */ (event.target).matches(":focus-visible"))
      app.dispatch({ type: "hover", ...asMark(at) });
  });
  tokens.addEventListener("focusout", () => app.dispatch({ type: "leave" }));
  tokens.onkeydown = (event) => {
    const at = spans.findIndex((span) => span === event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: spans.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    spans[Math.min(Math.max(to, 0), spans.length - 1)].focus();
  };
  back.onclick = () => turn(-SHOWN);
  on.onclick = () => turn(SHOWN);

  /** @param {number} by */
  function turn(by) {
    const list = side === "query" ? app.queries : app.keys;
    start = Math.min(Math.max(start + by, 0), Math.max(list.length - SHOWN, 0));
    shownTokens = null;
    turned = app.rested;
    app.request(2);
  }

  /**
   * @param {Float32Array | null} weights
   * @param {number | null} here
   * @param {import("../base/selection.js").Mark | null} [both]
   */
  function draw(weights, here, both = null) {
    const list = side === "query" ? app.queries : app.keys;
    const pin = app.selection.pin;
    const pinned = pin ? (axis() === "query" ? pin.query : pin.key) : null;
    const rested = app.rested
      ? app.queries === app.keys
        ? (app.rested.query ?? app.rested.key)
        : axis() === "query"
          ? app.rested.query
          : app.rested.key
      : null;
    const part = windowAround(list.length, SHOWN, start, turned && turned === app.rested ? null : rested);
    if (shownTokens !== list || part.from !== from) {
      if (shownTokens !== null && shownTokens !== list) start = 0;
      shownTokens = list;
      from = start = part.from;
      spans = list.slice(part.from, part.to).map((token, i) => {
        const text = h("bdi", null, token.t);
        return h(
          "button",
          {
            type: "button",
            class: token.s ? "sl-token sl-special" : token.t.startsWith("‿") ? "sl-token sl-join" : "sl-token",
            tabindex: i ? "-1" : "0",
            "data-at": part.from + i,
          },
          text,
        );
      });
      tokens.replaceChildren(...spans);
      more.hidden = list.length <= SHOWN;
      back.disabled = part.from === 0;
      on.disabled = part.to >= list.length;
      say(range, `tokens ${count(part.from)}–${count(part.to - 1)} of ${count(list.length)}`);
      const cross = app.queries !== app.keys;
      name.hidden = !cross;
      say(name, side === "query" ? "queries" : "keys");
      mark(tokens, "aria-label", cross ? (side === "query" ? "Queries" : "Keys") : "The text");
    }
    const { theme, options, matrix } = app;
    const top = options.per_head_scale ? matrix?.peak || 1 : 1;
    spans.forEach((span, i) => {
      const at = part.from + i;
      const w = weights ? weights[at] : 0;
      const masked = w === MASKED;
      const colour = w > 0 ? rampAt(theme.ramp, w / top) : null;
      const background = colour ? css(colour) : "";
      if (span.dataset.background !== background) {
        span.dataset.background = background;
        span.style.backgroundColor = background;
        span.style.color = colour ? css(textOn(colour)) : "";
      }
      mark(span, "data-masked", masked);
      const query = both ? both.query === at : at === here && axis() === "query";
      const key = both ? both.key === at : at === here && axis() === "key";
      mark(span, "data-here", query ? "query" : key ? "key" : null);
      mark(span, "aria-pressed", String(pinned === at));
    });
  }

  return { element, draw };
}
