/**
 * Layers × heads, coloured by one metric. Labelled heads carry their letter, so that colour is never the only sign.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";
import { aligned, letters, number, share } from "./data.js";
import { placeOf, walk } from "../picture/grid.js";
import { makeGrid } from "../picture/heads-grid.js";
import { thin } from "../picture/layout.js";
import { css, rampAt, textOn } from "../base/scale.js";

/** Sides of a cell, CSS pixels. */
const SMALLEST = 16;
const LARGEST = 38;
const KEYS = "Arrow keys choose, Enter opens the head in Explore.";

/** @param {HeadsView} app */
export function createMap(app) {
  const choose = h("select", {
    "aria-label": "The map’s metric",
    "data-testid": "sl-map-metric",
    onchange: () => app.setMetric("metric", choose.value),
  });
  const grids = h("div", { class: "sl-hm-grids" });
  const bar = h("span", { class: "sl-hm-bar", "aria-hidden": "true" });
  const ends = [h("span", { class: "sl-mono" }), h("span", { class: "sl-mono" })];
  const says = h("span", null);
  const legend = h("p", { class: "sl-hm-legend" }, ends[0], bar, ends[1], says);
  const signs = h("p", { class: "sl-hm-signs sl-second" });
  const readout = h("p", { class: "sl-hm-readout", "aria-hidden": "true" });
  const element = h(
    "section",
    { class: "sl-hm", "aria-label": "Map of layers and heads", "data-testid": "sl-heads-map" },
    h(
      "div",
      { class: "sl-head-row" },
      h("h2", null, "Layers × heads"),
      h("label", { class: "sl-pick" }, "coloured by", choose),
    ),
    grids,
    legend,
    readout,
    signs,
  );
  /** @type {Map<number, HTMLElement>} */
  const cells = new Map();
  let made = "";

  grids.onclick = (event) => {
    const i = cellOf(event);
    if (i === null) return;
    if (i === app.selected) app.open(i);
    else app.choose(i, "map");
  };
  grids.onpointerover = (event) => app.hover(cellOf(event), "map");
  grids.onpointerleave = () => app.hover(null, "map");
  grids.onkeydown = (event) => {
    const i = cellOf(event);
    if (i === null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      app.open(i);
      return;
    }
    if (event.key === " ") {
      event.preventDefault();
      app.choose(i, "map");
      return;
    }
    const { groups, places } = app.heads;
    const from = placeOf(groups, places[i].layer, places[i].head);
    if (!from || !/^(Arrow|Home|End|Page)/.test(event.key)) return;
    event.preventDefault();
    const to = walk(groups, from, event.key);
    const next = app.heads.indexOf(groups[to.group].layers[to.row], to.col);
    if (next === null) return;
    app.choose(next, "map");
    cells.get(next)?.focus();
  };

  /** @param {Event} event @returns {number | null} */
  function cellOf(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest?.("[role=gridcell]");
    return cell ? Number(/** @type {HTMLElement} */ (cell).dataset.i) : null;
  }

  function draw() {
    const { heads, metric, theme, shown } = app;
    fill(choose, heads.choices, metric);
    const width = grids.clientWidth || 360;
    const widest = Math.max(...heads.groups.map((group) => group.nHeads));
    const side = Math.min(Math.max(Math.floor((width - 2.6 * theme.size) / widest), SMALLEST), LARGEST);
    const wanted = `${app.shownKey}|${side}|${theme.size}`;
    if (made !== wanted) {
      made = wanted;
      cells.clear();
      grids.style.setProperty("--cell", `${side}px`);
      const every = thin(side, theme.size * 1.4);
      grids.replaceChildren(...heads.groups.map((group) => makeGrid(heads, group, cells, every, KEYS)));
    }
    const range = heads.range(metric);
    const seen = new Set(shown);
    const title = heads.metric(metric)?.title ?? "";
    const ramp = rampFor(range, theme);
    for (const [i, cell] of cells) {
      const value = heads.value(metric, i);
      const part = share(range, value);
      const none = part !== part;
      const background = none ? theme.paper : rampAt(ramp, part);
      cell.style.background = none ? "" : css(background);
      cell.style.color = css(textOn(background));
      mark(cell, "data-none", none);
      mark(cell, "data-out", !seen.has(i));
      const label = heads.label(i);
      say(cell, label && side >= theme.size * 1.2 ? app.letter(label) : label ? "·" : "");
      const what = label || heads.untested(i) ? `, ${heads.nameOfLabel(i)}` : "";
      mark(
        cell,
        "aria-label",
        `${heads.titleOf(i)}${what}: ${title} ${none ? "has no meaning here" : aligned(value, range)}`,
      );
    }
    say(ends[0], number(range.low));
    say(ends[1], number(range.high));
    say(says, range.says);
    bar.style.background = `linear-gradient(90deg, ${ramp.map((stop) => css(stop)).join(", ")})`;
    drawSigns(app, signs, seen.size < heads.n);
    marks();
  }

  function marks() {
    const { selected, hovered, heads, metric } = app;
    const entry = selected ?? 0;
    for (const [i, cell] of cells) {
      mark(cell, "aria-selected", String(i === selected));
      mark(cell, "data-hovered", i === hovered);
      mark(cell, "tabindex", i === entry ? "0" : "-1");
    }
    const i = hovered ?? selected;
    say(
      readout,
      i === null
        ? " "
        : `${heads.titleOf(i)}: ${heads.metric(metric)?.title} ` +
            aligned(heads.value(metric, i), heads.range(metric)) +
            (heads.label(i) || heads.untested(i) ? ` · ${heads.nameOfLabel(i)}` : ""),
    );
  }

  /** The cell that Tab would reach. */
  const landing = () => cells.get(app.selected ?? 0) ?? null;

  /** The map as a picture: what it is of stands over it. @returns {import("../keeping/bar.js").Slide} */
  const slide = () => ({
    part: element,
    lines: [`${app.heads.metric(app.metric)?.title} of ${app.heads.n} heads · ${app.heads.name}`],
    name: `sightline-heads-${app.metric}`,
  });

  return { element, draw, marks, landing, slide };
}

/**
 * A scale through 0 has two colours, with 0 in the middle of them.
 * @param {import("./data.js").Range} range
 * @param {import("./heads.js").HeadsTheme} theme
 */
function rampFor(range, theme) {
  return range.low < 0 ? theme.diverging : theme.ramp;
}

/** @param {HeadsView} app @param {HTMLElement} element @param {boolean} filtered */
function drawSigns({ heads, labelling }, element, filtered) {
  const labels = heads.labels;
  const given = letters(labels);
  const parts = labels.map(({ label, title, n }) =>
    h("span", null, h("span", { class: "sl-letter" }, given.get(label) ?? ""), `${title} (${n})`),
  );
  if (filtered) parts.push(h("span", null, "faint: left out by the filter"));
  const untested = heads.places.filter(({ i }) => heads.untested(i)).length;
  if (untested) parts.push(h("span", null, `${untested} could not be tested`));
  else if (!labels.length && !labelling && heads.cards) parts.push(h("span", null, "no head carries a label"));
  element.replaceChildren(...parts);
}

/**
 * @param {HTMLSelectElement} select
 * @param {import("./data.js").Metric[]} metrics
 * @param {string} chosen
 * @param {[string, string][]} [first]
 */
export function fill(select, metrics, chosen, first = []) {
  const options = [...first, ...metrics.map(({ name, title }) => [name, title])];
  const wanted = JSON.stringify(options);
  if (select.dataset.wanted !== wanted) {
    select.dataset.wanted = wanted;
    select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  }
  if (select.value !== chosen) select.value = chosen;
}
