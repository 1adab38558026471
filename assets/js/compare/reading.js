/**
 * The cell under the cursor in words, its row as a table, and how two tokens are put together by hand.
 *
 * @typedef {import("./compare.js").CompareView} CompareView
 */
import { fixedWith, labelOf, more, nameOf, numberOf, pairsIn, ranked, sentence, signed } from "./cells.js";
import { exchange, h, mark, say, settle } from "../base/dom.js";
import { active } from "../base/selection.js";

/** What is heard rests first, ms. */
const RESTS = 400;

/** @param {CompareView} app */
export function createReading(app) {
  const line = h("p", { class: "sl-cmp-line", "data-testid": "sl-cmp-line" });
  const live = h("p", { class: "sl-quiet", role: "status", "data-testid": "sl-cmp-live" });
  const table = createTable(app);
  const moving = createMoving(app);
  const element = h(
    "section",
    { class: "sl-cmp-reading", "aria-label": "The cell in words" },
    line,
    live,
    h("div", { class: "sl-cmp-under" }, table.element, moving.element),
  );
  const heard = settle(RESTS, () => say(live, line.textContent ?? ""));

  function cross() {
    const { cells } = app;
    const at = active(app.selection);
    const words =
      cells && at
        ? sentence(cells, at)
        : "Point at a cell, or walk there with the arrow keys: it is marked in A, B and A − B, and said here.";
    say(line, words);
    mark(line, "data-none", !at);
    if (at) heard();
    table.later();
  }

  return {
    element,
    cross,
    draw() {
      cross();
      table.draw();
      moving.draw();
    },
    stop() {
      heard.cancel();
      table.stop();
    },
  };
}

/** The row that is marked, or the first, in numbers. @param {CompareView} app */
function createTable(app) {
  const caption = h("caption", null);
  const body = h("tbody", null);
  const element = h(
    "details",
    { class: "sl-table", "data-testid": "sl-cmp-table", ontoggle: () => draw() },
    h("summary", null, "This row in numbers"),
    h(
      "div",
      { class: "sl-cmp-scroll", tabindex: "0", role: "group", "aria-label": "The row in numbers" },
      h(
        "table",
        null,
        caption,
        h(
          "thead",
          null,
          h("tr", null, ...["looks at", "A", "B", "A − B", ""].map((name) => h("th", { scope: "col" }, name))),
        ),
        body,
      ),
    ),
  );
  const later = settle(120, () => draw());

  function draw() {
    const { cells } = app;
    if (!cells || !element.open) return;
    const row = active(app.selection)?.query ?? 0;
    say(caption, `${nameOf(cells.rows[row])}, largest differences first`);
    body.replaceChildren(
      ...ranked(cells, row).map((column) => {
        const cell = cells.at(row, column);
        return h(
          "tr",
          null,
          h("th", { scope: "row" }, h("bdi", null, labelOf(cells.columns[column], "both") ?? "")),
          h("td", { class: "sl-number" }, numberOf(cell.a, cell.ofA, "A")),
          h("td", { class: "sl-number" }, numberOf(cell.b, cell.ofB, "B")),
          h("td", { class: "sl-number" }, signed(cell.difference) || "–"),
          h("td", null, more(cell.difference)),
        );
      }),
    );
  }

  return { element, draw, later, stop: () => later.cancel() };
}

/** Two tokens put together by hand. @param {CompareView} app */
function createMoving(app) {
  const a = h("select", { "aria-label": "Token of A" });
  const b = h("select", { "aria-label": "Token of B" });
  const put = h(
    "button",
    { type: "button", onclick: () => app.setFixed(fixedWith(app.fixed, Number(a.value), Number(b.value))) },
    "Put together",
  );
  const chips = h("ul", { class: "sl-cmp-chips" });
  const element = h(
    "details",
    { class: "sl-cmp-moving", "data-testid": "sl-cmp-moving" },
    h("summary", null, "Which word belongs to which"),
    h("p", { class: "sl-cmp-pick" }, h("label", null, "A ", a), h("label", null, "B ", b), put),
    chips,
  );
  let made = "";

  function draw() {
    const { cells, fixed } = app;
    if (!cells) return;
    const wanted = JSON.stringify([cells.rows, fixed]);
    if (made !== wanted) {
      made = wanted;
      const tokens = /** @type {const} */ (["a", "b"]).map((side) =>
        cells.rows.flatMap((place) => {
          const at = side === "a" ? place.i : place.j;
          return at.length ? [{ at: at[0], text: place[side] ?? "" }] : [];
        }),
      );
      fill(a, tokens[0]);
      fill(b, tokens[1]);
      exchange(chips, ...pairsIn(fixed).map((pair) => h("li", null, chip(pair, tokens))));
      element.hidden = app.data.same_run;
      if (fixed) element.open = true;
    }
    const pin = app.selection.pin?.query;
    const place = pin == null ? null : cells.rows[pin];
    if (place?.i.length) a.value = String(place.i[0]);
    if (place?.j.length) b.value = String(place.j[0]);
  }

  /** @param {[number, number]} pair @param {{at: number, text: string}[][]} tokens */
  function chip([i, j], tokens) {
    const word = (/** @type {number} */ side, /** @type {number} */ at) =>
      tokens[side].find((one) => one.at === at)?.text ?? `token ${at}`;
    const rest = pairsIn(app.fixed).filter((pair) => pair[0] !== i);
    const words = `“${word(0, i)}” with “${word(1, j)}”`;
    return h(
      "button",
      {
        type: "button",
        "aria-label": `Take apart ${words}`,
        onclick: () => app.setFixed(rest.map((pair) => pair.join("-")).join("_")),
      },
      `${words} ✕`,
    );
  }

  return { element, draw };
}

/** @param {HTMLSelectElement} select @param {{at: number, text: string}[]} tokens */
function fill(select, tokens) {
  const before = select.value;
  select.replaceChildren(...tokens.map(({ at, text }) => h("option", { value: String(at) }, `${at} ${text}`)));
  if (tokens.some(({ at }) => String(at) === before)) select.value = before;
}
