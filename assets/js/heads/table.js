/**
 * Every head as a row, every metric as a column: sorted by its headings, one row chosen.
 *
 * A real table. A row's name is a link that opens the head in the explorer; arrows move from row to row.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";
import { aligned, LOOK, number, pressed, share } from "./data.js";
import { count } from "../base/words.js";

/** @param {HeadsView} app */
export function createTable(app) {
  const caption = h("caption", { class: "sl-quiet" });
  const titles = h("tr", null);
  const body = h("tbody", null);
  const table = h("table", { class: "sl-heads-table" }, caption, h("thead", null, titles), body);
  const holder = h(
    "div",
    { class: "sl-heads-scroll", tabindex: "0", role: "region", "aria-label": "Table of all heads" },
    table,
  );
  const says = h("p", { class: "sl-second", "data-testid": "sl-heads-count" });
  const empty = h(
    "p",
    { class: "sl-empty" },
    "No head passes this filter. ",
    h(
      "button",
      { type: "button", onclick: () => app.setOnly({ label: "", layer: null, metric: "", least: 0 }) },
      "Show all heads",
    ),
  );
  const element = h(
    "section",
    { class: "sl-heads-all", "aria-label": "All heads in numbers", "data-testid": "sl-heads-table" },
    says,
    holder,
    empty,
  );
  /** @type {Map<number, HTMLTableRowElement>} */
  const rows = new Map();
  let made = "";
  /** The view that the names lead to. @type {string | null} */
  let linked = null;

  body.onclick = (event) => {
    const i = rowOf(event);
    if (i === null) return;
    const link = /** @type {HTMLElement} */ (event.target).closest("a");
    if (link && (event.metaKey || event.ctrlKey || event.shiftKey)) return; // another tab, as with any link
    event.preventDefault();
    if (link || i === app.selected) app.open(i);
    else app.choose(i, "table");
  };
  body.onpointerover = (event) => app.hover(rowOf(event), "table");
  body.onpointerleave = () => app.hover(null, "table");
  body.onkeydown = (event) => {
    const i = rowOf(event);
    if (i === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const { shown } = app;
    const at = shown.indexOf(i);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: shown.length - 1,
      PageDown: at + 10,
      PageUp: at - 10,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = shown[Math.min(Math.max(to, 0), shown.length - 1)];
    app.choose(next, "table");
    rows.get(next)?.querySelector("a")?.focus({ preventScroll: true });
  };

  /** @param {Event} event @returns {number | null} */
  function rowOf(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest?.("tr");
    return row?.dataset.i === undefined ? null : Number(row.dataset.i);
  }

  /** Headings and rows; the rows are made once for a text and only put into another order later. */
  function draw() {
    const { heads, shown, sort } = app;
    const columns = heads.choices;
    const wanted = `${app.shownKey}|${heads.look?.title ?? ""}`;
    if (made !== wanted) {
      made = wanted;
      rows.clear();
      for (const place of heads.places) rows.set(place.i, makeRow(app, place, columns));
    }
    drawTitles(app, titles, columns);
    for (const [i, row] of rows) drawLabel(app, i, row);
    drawLinks();
    body.replaceChildren(...shown.map((i) => /** @type {HTMLTableRowElement} */ (rows.get(i))));
    say(caption, `Every head in numbers, ${wordsOf(app)}.`);
    say(
      says,
      shown.length === heads.n ? `${count(heads.n)} heads` : `${count(shown.length)} of ${count(heads.n)} heads`,
    );
    holder.hidden = !shown.length;
    empty.hidden = Boolean(shown.length);
    for (const [name, cells] of columnsOf(columns))
      for (const row of rows.values()) mark(row.cells[cells], "data-sorted", sort.by === name);
    marks();
  }

  /** Where the names lead, for those who open one in a window of its own: this view as it is now. */
  function drawLinks() {
    if (linked === app.data.link) return;
    linked = app.data.link;
    for (const [i, row] of rows) /** @type {HTMLAnchorElement} */ (row.querySelector("a")).href = app.address(i);
  }

  /** The chosen row, and the one under the pointer. @param {string} [from]  where the choice was made */
  function marks(from) {
    const { selected, hovered, shown } = app;
    for (const [i, row] of rows) {
      mark(row, "aria-current", i === selected);
      mark(row, "data-hovered", i === hovered);
      mark(
        /** @type {Element} */ (row.querySelector("a")),
        "tabindex",
        i === (selected !== null && shown.includes(selected) ? selected : shown[0]) ? "0" : "-1",
      );
    }
    const row = selected === null ? undefined : rows.get(selected);
    if (row?.isConnected && from !== "hover") reveal(row);
  }

  /** Scroll the table, and not the page, until the row is seen. @param {HTMLElement} row */
  function reveal(row) {
    const head = titles.offsetHeight;
    const top = row.offsetTop - head;
    if (top < holder.scrollTop) holder.scrollTop = top;
    else if (row.offsetTop + row.offsetHeight > holder.scrollTop + holder.clientHeight)
      holder.scrollTop = row.offsetTop + row.offsetHeight - holder.clientHeight;
  }

  return { element, draw, marks };
}

/**
 * Metric names with the number of their column.
 * @param {import("./data.js").Metric[]} columns
 * @returns {[string, number][]}
 */
function columnsOf(columns) {
  return columns.map(({ name }, at) => [name, at + 2]);
}

/** @param {HeadsView} app @param {import("./data.js").Place} place @param {import("./data.js").Metric[]} columns */
function makeRow(app, place, columns) {
  const { heads } = app;
  return h(
    "tr",
    { "data-i": place.i, "data-head": `${place.layer}.${place.head}` },
    h(
      "th",
      { scope: "row" },
      h(
        "a",
        { href: app.address(place.i), tabindex: "-1", "aria-label": `${heads.titleOf(place.i)}: open in Explore` },
        place.name,
      ),
    ),
    h("td", { class: "sl-heads-label" }),
    ...columns.map(({ name }) => {
      const value = heads.value(name, place.i);
      const cell = h("td", { class: "sl-number" }, aligned(value, heads.range(name)));
      const part = share(heads.range(name), value);
      if (part === part) cell.style.setProperty("--share", part.toFixed(3));
      return cell;
    }),
  );
}

/** @param {HeadsView} app @param {number} i @param {HTMLTableRowElement} row */
function drawLabel(app, i, row) {
  const { heads } = app;
  const cell = row.cells[1];
  const card = heads.cards?.[i];
  const label = card?.label ?? null;
  mark(cell, "data-label", label);
  if (label && card) {
    const name = heads.nameOfLabel(i);
    if (cell.textContent !== `${app.letter(label)}${name}`)
      cell.replaceChildren(h("span", { class: "sl-letter", "aria-hidden": "true" }, app.letter(label)), name);
  } else say(cell, heads.cards ? (card ? heads.nameOfLabel(i) : "–") : app.labelling ? "…" : "–");
}

/** @param {HeadsView} app @param {HTMLTableRowElement} titles @param {import("./data.js").Metric[]} columns */
function drawTitles(app, titles, columns) {
  const { heads, sort } = app;
  const all = [
    { name: "head", short: "head", title: "Head", says: "layer and head, both counted from 0" },
    {
      name: "label",
      short: "label",
      title: "Label",
      says:
        "what the head does on probe texts, if its score beats chance by the stated margin; most heads have " +
        "none. It names the lengths of text where it does not hold at all that were tested",
    },
    ...columns.map((metric) => ({
      name: metric.name,
      short: metric.short,
      title: metric.title,
      says:
        `${metric.definition} ` +
        (heads.places.some(({ i }) => heads.value(metric.name, i) === heads.value(metric.name, i))
          ? capital(heads.range(metric.name).says)
          : "It has no meaning on this text") +
        ".",
    })),
  ];
  const wanted = all.map(({ name, short }) => `${name}:${short}`).join();
  if (titles.dataset.wanted !== wanted) {
    titles.dataset.wanted = wanted;
    titles.replaceChildren(
      ...all.map((one) => {
        const button = h(
          "button",
          { type: "button", "data-sort": one.name, onclick: () => app.setSort(pressed(app.sort, one.name)) },
          h("span", { class: "sl-col" }, one.short),
          h("span", { class: "sl-sign", "aria-hidden": "true" }),
        );
        app.frame.tip.on(button, one.title, one.says);
        return h("th", { scope: "col", class: one.name === LOOK ? "sl-look" : null }, button);
      }),
    );
  }
  all.forEach(({ name }, at) => {
    const here = sort.by === name;
    const title = titles.children[at];
    mark(title, "aria-sort", here ? (sort.down ? "descending" : "ascending") : "none");
    say(/** @type {Node} */ (title.querySelector(".sl-sign")), here ? (sort.down ? " ↓" : " ↑") : "");
  });
}

/** @param {HeadsView} app */
function wordsOf({ heads, sort, only }) {
  const by =
    sort.by === "head"
      ? "in the order of the model"
      : `sorted by ${sort.by === "label" ? "label" : heads.metric(sort.by)?.title.toLowerCase()}`;
  const way =
    sort.by === "head" ? (sort.down ? ", last first" : "") : sort.down ? ", largest first" : ", smallest first";
  const filter = only.metric
    ? `; only heads with ${heads.metric(only.metric)?.title.toLowerCase()} of at least ${number(only.least)}`
    : "";
  return `${by}${way}${filter}`;
}

/** @param {string} text */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
