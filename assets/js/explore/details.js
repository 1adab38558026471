/**
 * Numbers beside the pictures: the marked row sorted as bars, the head's strongest links, spread and reach, and the row
 * as a table.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say, settle } from "../base/dom.js";
import { spreadAndReach, strongestOf } from "../picture/matrix.js";
import { active } from "../base/selection.js";
import { MASKED } from "../base/wire.js";
import { count, quoted, weightText } from "../base/words.js";
import { scored } from "./readout.js";

const BARS = 12;
/** Rows of the table written out; the CSV has all. */
const ROWS = 512;

/** What the bars leave out: 1 → "1 token". @param {number} n @param {"query"|"key"} axis of the line that is drawn */
export function howMany(n, axis) {
  const [one, many] = axis === "query" ? ["token", "tokens"] : ["query", "queries"];
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** @param {App} app */
export function createDetails(app) {
  const bars = createBars(app);
  const links = createStrongest(app);
  const spread = createSpread(app);
  const table = createTable(app);
  const element = h(
    "section",
    { class: "sl-details", "aria-label": "Numbers" },
    bars.element,
    links.element,
    spread.element,
    table.element,
  );

  /** @param {number} level */
  function draw(level) {
    if (!app.matrix) return;
    bars.draw();
    if (level >= 2) links.draw();
    spread.draw();
    table.later();
  }

  return { element, draw };
}

/**
 * The row (or column) that the numbers are about: the marked one, else the last one, so that they do not vanish.
 *
 * @param {App} app
 * @returns {{axis: "query" | "key", index: number}}
 */
export function subject(app) {
  const now = active(app.selection);
  if (now)
    app.subject =
      now.query !== null
        ? { axis: "query", index: now.query }
        : { axis: "key", index: /** @type {number} */ (now.key) };
  const { matrix } = app;
  const wanted = app.subject ?? {
    axis: /** @type {const} */ ("query"),
    index: app.queries.findIndex((token) => !token.s),
  };
  const n = wanted.axis === "query" ? (matrix?.nQuery ?? 1) : (matrix?.nKey ?? 1);
  return { axis: wanted.axis, index: Math.min(Math.max(wanted.index, 0), n - 1) };
}

/** @param {App} app */
function createBars(app) {
  const title = h("h3", null);
  const list = h("ol", { class: "sl-bars" });
  const items = Array.from({ length: BARS }, () => {
    const token = h("bdi", { class: "sl-mono" });
    const bar = h("span", { class: "sl-bar" });
    const number = h("span", { class: "sl-mono sl-number" });
    const item = h("li", null, token, h("span", { class: "sl-lane" }, bar), number);
    list.append(item);
    return { item, token, bar, number };
  });
  const rest = h("p", { class: "sl-second" });
  const element = h("div", { class: "sl-card", "data-testid": "sl-rowbars" }, title, list, rest);

  function draw() {
    const { axis, index } = subject(app);
    const line = app.matrix?.line(axis, index);
    const from = (axis === "query" ? app.queries : app.keys)[index];
    const others = axis === "query" ? app.keys : app.queries;
    say(title, axis === "query" ? `${quoted(from?.t ?? "")} looks at` : `What looks at ${quoted(from?.t ?? "")}`);
    mark(list, "data-axis", axis);
    if (!line) {
      for (const { item } of items) item.hidden = true;
      say(
        rest,
        app.inline
          ? "This page carries block maxima only at this length."
          : "The exact row comes when the pointer rests on a token.",
      );
      return;
    }
    const { top, rest: left, sum } = strongestOf(line.weights, BARS);
    const longest = top[0]?.weight || 1;
    items.forEach(({ item, token, bar, number }, i) => {
      item.hidden = i >= top.length;
      if (i >= top.length) return;
      say(token, others[top[i].index]?.t ?? "");
      const width = `${((top[i].weight / longest) * 100).toFixed(1)}%`;
      if (bar.style.width !== width) bar.style.width = width;
      say(number, weightText(top[i].weight));
    });
    const parts = left.count > 0 ? [`rest: ${left.weight.toFixed(4)} in ${howMany(left.count, axis)}`] : [];
    parts.push(`sum: ${sum.toFixed(4)}`, "bars: the longest is the largest weight");
    if (axis === "query") {
      const hidden = app.matrix?.meta?.hidden?.[index];
      if (typeof hidden === "number") parts.push(`hidden keys took ${hidden.toFixed(4)}`);
    }
    say(rest, parts.join(" · "));
  }

  return { element, draw };
}

/** @param {App} app */
function createStrongest(app) {
  const list = h("ol", { class: "sl-strong" });
  const says = h("p", { class: "sl-second" });
  const element = h("div", { class: "sl-card" }, h("h3", null, "Strongest links of this head"), list, says);
  list.onclick = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) app.dispatch({ type: "pin", query: Number(button.dataset.q), key: Number(button.dataset.k) });
  };

  function draw() {
    const strongest = app.matrix?.meta?.strongest;
    list.hidden = !strongest;
    say(says, strongest ? "" : app.inline ? "not carried by this page" : "…");
    if (!strongest) return;
    list.replaceChildren(
      ...strongest
        .slice(0, BARS)
        .map(({ q, k, w }) =>
          h(
            "li",
            null,
            h(
              "button",
              { type: "button", "data-q": q, "data-k": k },
              h("bdi", { class: "sl-mono sl-query" }, app.queries[q]?.t ?? ""),
              h("span", { "aria-hidden": "true" }, " → "),
              h("bdi", { class: "sl-mono sl-key" }, app.keys[k]?.t ?? ""),
              h("span", { class: "sl-mono sl-number" }, w.toFixed(4)),
            ),
          ),
        ),
    );
  }

  return { element, draw };
}

/** @param {App} app */
function createSpread(app) {
  const [head, row] = [0, 1].map(() => ({ entropy: createGauge(), reach: createGauge() }));
  const rowName = h("h4", null);
  const scale = h("p", { class: "sl-second" });
  const element = h(
    "div",
    { class: "sl-card sl-spread" },
    h("h3", null, "Spread and reach"),
    h("h4", null, "this head, mean over its queries"),
    head.entropy.element,
    head.reach.element,
    rowName,
    row.entropy.element,
    row.reach.element,
    scale,
  );

  function draw() {
    const { matrix, overview, selection } = app;
    if (!matrix || !overview) return;
    const summary = overview.summary(selection.layer, selection.head);
    const most = Math.log2(Math.max(matrix.nKey, 2));
    const far = Math.max(matrix.nKey - 1, 1);
    // The rows of a maximum over heads do not sum to 1: they have no spread and no mean distance.
    const whole = selection.head !== "max";
    head.entropy.show("spread", whole ? (matrix.meta?.entropy ?? summary.entropy) : null, most, "bits");
    head.reach.show("reach", whole ? (matrix.meta?.reach ?? summary.reach) : null, far, "tokens");
    const { axis, index } = subject(app);
    const line = axis === "query" ? matrix.line(axis, index) : null;
    rowName.hidden = row.entropy.element.hidden = row.reach.element.hidden = axis !== "query";
    if (axis === "query") {
      say(rowName, `this query, ${quoted(app.queries[index]?.t ?? "")}`);
      const found =
        line && whole ? spreadAndReach(line.weights, app.keyPositions[index] ?? index, app.keyPositions) : null;
      row.entropy.show("spread", found?.entropy ?? null, most, "bits");
      row.reach.show("reach", app.queries === app.keys ? (found?.reach ?? null) : null, far, "tokens");
    }
    if (!whole) say(scale, "The rows of a maximum do not sum to 1: they have no spread and no reach.");
    else
      say(
        scale,
        `spread: 0 = one key, ${most.toFixed(2)} = all ${count(matrix.nKey)} keys alike; reach: mean ` +
          "distance between query and key",
      );
  }

  return { element, draw };
}

function createGauge() {
  const name = h("span", null);
  const fill = h("span", { class: "sl-bar" });
  const value = h("span", { class: "sl-mono sl-number" });
  const element = h("div", { class: "sl-gauge" }, name, h("span", { class: "sl-track" }, fill), value);
  return {
    element,
    /** @param {string} label @param {number | null | undefined} x @param {number} most @param {string} unit */
    show(label, x, most, unit) {
      say(name, label);
      const known = typeof x === "number" && x === x;
      fill.style.width = known ? `${Math.min((x / most) * 100, 100).toFixed(1)}%` : "0";
      say(value, known ? `${x.toFixed(2)} ${unit}` : "–");
    },
  };
}

/** The same numbers for a screen reader, or for anyone who likes tables. @param {App} app */
function createTable(app) {
  const body = h("tbody", null);
  const caption = h("caption", null);
  const dot = h("th", { scope: "col" }, "q·k");
  const holder = h(
    "div",
    { class: "sl-table", tabindex: "0", role: "region", "aria-label": "Table of the row" },
    h(
      "table",
      null,
      caption,
      h(
        "thead",
        null,
        h("tr", null, ...["query", "key", "weight"].map((name) => h("th", { scope: "col" }, name)), dot),
      ),
      body,
    ),
  );
  const element = h("details", { class: "sl-card sl-wide" }, h("summary", null, "This row as a table"), holder);
  const later = settle(150, draw);
  element.ontoggle = () => draw();

  function draw() {
    if (!element.open || !app.matrix) return;
    const { axis, index } = subject(app);
    const line = app.matrix.line(axis, index);
    say(caption, line ? "" : "The exact row has not come yet.");
    if (!line) {
      body.replaceChildren();
      return;
    }
    const n = line.weights.length;
    const withScores = scored(app);
    dot.hidden = !withScores;
    let order = Array.from({ length: n }, (_, i) => i);
    if (n > ROWS) {
      order = strongestOf(line.weights, ROWS).top.map(({ index: at }) => at);
      say(caption, `The ${count(ROWS)} largest of ${count(n)}; the CSV file holds all of them.`);
    }
    body.replaceChildren(
      ...order.map((i) => {
        const [q, k] = axis === "query" ? [index, i] : [i, index];
        const w = line.weights[i];
        const score = line.scores && w !== MASKED ? line.scores[i] : null;
        return h(
          "tr",
          null,
          h("td", null, h("bdi", null, app.queries[q]?.t ?? "")),
          h("td", null, h("bdi", null, app.keys[k]?.t ?? "")),
          h("td", { class: "sl-number" }, w === MASKED ? "masked: may not be read" : weightText(w)),
          withScores
            ? h("td", { class: "sl-number" }, score === null || score !== score ? "–" : score.toFixed(4))
            : null,
        );
      }),
    );
  }

  return { element, later };
}
