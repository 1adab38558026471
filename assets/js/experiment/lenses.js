/**
 * One row of the chosen head through five lenses: small bars for every key, the first key of each lens marked, and the
 * sentence why they differ.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 * @typedef {import("./told").Lensed} Lensed
 */
import { h, mark, say } from "../base/dom.js";
import { quoted } from "../base/words.js";
import { createPolling } from "./polling.js";
import { short } from "./words.js";

/** As the core names them, how they are called over the bars, and what they say. */
export const LENSES = /** @type {const} */ ([
  ["weight", "weight", "what the row gives the key, 0 to 1"],
  ["length", "‖a·v·W_O‖", "the length of what comes from there"],
  ["signed", "signed share", "its share of what the head writes; all sum to 1"],
  ["zeroed", "value zeroed", "1 − cosine of the block’s output with that value 0"],
  ["cut", "link cut", "1 − cosine of the same with the link cut"],
]);

/** @param {ExperimentView} app */
export function createLenses(app) {
  const query = h("select", {
    "aria-label": "The token that looks",
    class: "sl-mono",
    "data-testid": "sl-exp-query",
    onchange: () => {
      at = Number(query.value);
      look();
    },
  });
  const begin = h(
    "button",
    { type: "button", "data-testid": "sl-exp-lenses-begin", onclick: () => polling.begin() },
    "Look through five lenses",
  );
  const says = h("p", { "data-testid": "sl-exp-lenses-says", role: "status" });
  const body = h("tbody", null);
  const table = h(
    "table",
    { class: "sl-exp-lenses-table", hidden: true },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, "key"),
        ...LENSES.map(([, name, means]) => h("th", { scope: "col", title: means }, name)),
      ),
    ),
    body,
  );
  const holder = h(
    "div",
    { class: "sl-exp-lenses-scroll", tabindex: "0", role: "region", "aria-label": "Five lenses, a row for each key" },
    table,
  );
  const element = h(
    "section",
    { class: "sl-exp-lenses", "aria-label": "Five lenses on one row", "data-testid": "sl-exp-lenses" },
    h("h2", null, "Five lenses on one row"),
    h("div", { class: "sl-exp-act" }, h("label", { class: "sl-pick" }, "What", query, "gets from each key"), begin),
    says,
    holder,
  );
  /** @type {number | null} */
  let at = null;
  let looked = "";
  /** @type {ReturnType<typeof createPolling<Lensed>>} */
  const polling = createPolling("lenses", (told, found) => show(told, found));

  /** Another head or token: what is known of it. */
  function look() {
    const { heads, selected, source, sourceKey, overview } = app;
    if (!heads || selected === null || !source || !overview || at === null) return;
    const { layer, head } = heads.places[selected];
    const wanted = `${sourceKey}|${layer}|${head}|${at}`;
    if (wanted === looked) return;
    looked = wanted;
    polling.look(source, { layer, head, query: at }, null);
  }

  /** @param {import("./told").Told<Lensed>} told @param {Lensed | null} found */
  function show(told, found) {
    mark(begin, "hidden", told.state === "ready" || told.state === "working" ? "" : null);
    table.hidden = !found;
    if (!found) {
      say(says, told.state === "none" ? "" : told.says);
      body.replaceChildren();
      return;
    }
    const agree = new Set(LENSES.map(([lens]) => found.top[lens]).filter((top) => top !== null)).size < 2;
    say(
      says,
      [found.says || (agree ? "All lenses have the same first key." : "The lenses differ."), ...found.missing].join(
        " ",
      ),
    );
    const tops = LENSES.map(([lens]) => topOf(found[lens]));
    body.replaceChildren(
      ...found.tokens.map((token, key) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, h("bdi", { class: "sl-token" }, token)),
          ...LENSES.map(([lens], i) => cellOf(found[lens]?.[key] ?? null, tops[i], found.top[lens] === key)),
        ),
      ),
    );
  }

  function draw() {
    const { heads, selected, overview } = app;
    element.hidden = !heads || selected === null;
    if (!heads || selected === null || !overview) return;
    const tokens = overview.queries(heads.places[selected].layer);
    if (query.options.length !== tokens.length || query.dataset.key !== app.sourceKey) {
      query.dataset.key = app.sourceKey;
      query.replaceChildren(
        ...tokens.map(({ t, i }) => h("option", { value: i, "aria-label": `${quoted(t)}, token ${i}` }, t)),
      );
      at = app.data.select.query ?? tokens.findLast(({ s }) => !s)?.i ?? tokens.length - 1;
    }
    if (at !== null) query.value = String(at);
    look();
  }

  return { element, draw, leave: () => polling.leave() };
}

/** The largest magnitude of a lens. @param {(number | null)[] | null} values */
function topOf(values) {
  return Math.max(0, ...(values ?? []).map((x) => Math.abs(x ?? 0)));
}

/** @param {number | null} x @param {number} top @param {boolean} first */
function cellOf(x, top, first) {
  if (x === null) return h("td", { class: "sl-none" }, "–");
  const bar = h("span", { class: "sl-exp-lens-bar", "data-sign": x < 0 ? "−" : "+" });
  bar.style.setProperty("--share", String(top ? Math.abs(x) / top : 0));
  return h(
    "td",
    { "data-first": first },
    h("span", { class: "sl-exp-lens-track", "aria-hidden": "true" }, bar),
    h("span", { class: "sl-mono" }, `${first ? "① " : ""}${short(x)}`),
  );
}
