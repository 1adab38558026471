/**
 * Layers × heads, coloured by what switching a head off does: 0 in the middle, both ends alike. A number in the cell,
 * and a frame around those beyond chance, say the same without colour.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 */
import { h, mark, say } from "../base/dom.js";
import { css, rampAt, textOn } from "../base/scale.js";
import { placeOf, walk } from "../picture/grid.js";
import { makeGrid } from "../picture/heads-grid.js";
import { thin } from "../picture/layout.js";
import { signedPlace } from "../picture/signed.js";
import { effect, short, signed, unitOf } from "./words.js";

/** Sides of a cell, CSS pixels. */
const SMALLEST = 16;
const LARGEST = 52;
const KEYS = "Arrow keys choose; a second Enter opens the head in Explore.";
/** A number in a cell takes so many times the size of the type. */
const ROOM = 2.6;

/** @param {ExperimentView} app */
export function createAtlas(app) {
  const grids = h("div", { class: "sl-hm-grids" });
  const bar = h("span", { class: "sl-hm-bar", "aria-hidden": "true" });
  const ends = [h("span", { class: "sl-mono" }), h("span", { class: "sl-mono" })];
  const rule = h("span", null);
  const legend = h("p", { class: "sl-hm-legend" }, ends[0], bar, ends[1], rule);
  const readout = h("p", { class: "sl-hm-readout", "aria-hidden": "true" });
  const element = h(
    "section",
    { class: "sl-hm", "aria-label": "Atlas of effects", "data-testid": "sl-exp-atlas" },
    h("h2", null, "Layers × heads"),
    grids,
    legend,
    readout,
  );
  /** @type {Map<number, HTMLElement>} */
  const cells = new Map();
  let made = "";

  grids.onclick = (event) => {
    const i = cellOf(event);
    if (i !== null) app.choose(i, "atlas");
  };
  grids.onpointerover = (event) => app.hover(cellOf(event));
  grids.onpointerleave = () => app.hover(null);
  grids.onkeydown = (event) => {
    const i = cellOf(event);
    const { heads } = app;
    if (i === null || !heads || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      if (event.key === "Enter" && i === app.selected) app.open(i);
      else app.choose(i, "atlas");
      return;
    }
    const from = placeOf(heads.groups, heads.places[i].layer, heads.places[i].head);
    if (!from || !/^(Arrow|Home|End|Page)/.test(event.key)) return;
    event.preventDefault();
    const to = walk(heads.groups, from, event.key);
    const next = heads.indexOf(heads.groups[to.group].layers[to.row], to.col);
    if (next === null) return;
    app.choose(next, "atlas");
    cells.get(next)?.focus();
  };

  /** @param {Event} event @returns {number | null} */
  function cellOf(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest?.("[role=gridcell]");
    return cell ? Number(/** @type {HTMLElement} */ (cell).dataset.i) : null;
  }

  function draw() {
    const { heads, theme, sourceKey } = app;
    if (!heads) return;
    const width = grids.clientWidth || 360;
    const widest = Math.max(...heads.groups.map((group) => group.nHeads));
    const side = Math.min(Math.max(Math.floor((width - 2.6 * theme.size) / widest), SMALLEST), LARGEST);
    const wanted = `${sourceKey}|${side}|${theme.size}`;
    if (made !== wanted) {
      made = wanted;
      cells.clear();
      grids.style.setProperty("--cell", `${side}px`);
      const every = thin(side, theme.size * 1.4);
      grids.replaceChildren(...heads.groups.map((group) => makeGrid(heads, group, cells, every, KEYS)));
    }
    const top = heads.top;
    for (const [i, cell] of cells) {
      const x = heads.effects[i];
      const none = x !== x;
      const background = none ? theme.paper : rampAt(theme.diverging, signedPlace(x, top));
      cell.style.background = none ? "" : css(background);
      cell.style.color = css(textOn(background));
      mark(cell, "data-none", none && heads.n > 0);
      mark(cell, "data-beyond", heads.beyond(i) === true);
      say(cell, none ? "" : side >= theme.size * ROOM ? inCell(x) : heads.beyond(i) ? (x < 0 ? "−" : "+") : "");
      mark(cell, "aria-label", app.says(i));
    }
    legend.hidden = !heads.n;
    say(ends[0], short(-top));
    say(ends[1], signed(top));
    say(
      rule,
      `${unitOf(heads.unit)}, after − before; 0 in the middle` +
        (heads.chance === null ? "" : `; framed: beyond chance (${short(heads.chance)})`),
    );
    bar.style.background = `linear-gradient(90deg, ${theme.diverging.map((stop) => css(stop)).join(", ")})`;
    marks();
  }

  function marks() {
    const { selected, hovered, heads } = app;
    if (!heads) return;
    const entry = selected ?? 0;
    for (const [i, cell] of cells) {
      mark(cell, "aria-selected", String(i === selected));
      mark(cell, "data-hovered", i === hovered);
      mark(cell, "tabindex", i === entry ? "0" : "-1");
    }
    const i = hovered ?? selected;
    const x = i === null ? NaN : heads.effects[i];
    say(
      readout,
      i === null || x !== x ? " " : `${heads.titleOf(i)} ${effect(heads.question, x, heads.unit)} (${signed(x)})`,
    );
  }

  /** The atlas as a picture: what was asked stands over it. @returns {import("../keeping/bar.js").Slide} */
  const slide = () => ({
    part: element,
    lines: [
      `${app.frame.ask.element.querySelector("h2")?.textContent ?? ""}`,
      `Each head switched off alone (${app.fill}) · ${app.data.model.name}`,
    ],
    name: "sightline-effects",
  });

  return { element, draw, marks, slide };
}

/** One decimal, and none where there is nothing to see. @param {number} x */
function inCell(x) {
  return Math.abs(x) < 0.05 ? "·" : x.toFixed(1).replace("-", "−");
}
