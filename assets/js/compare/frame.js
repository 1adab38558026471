/**
 * What stands where on Compare: what is said of the two and what can be kept, ten heads, three maps under one cursor,
 * the cell in words, all heads.
 *
 * @typedef {import("./compare.js").CompareView} CompareView
 */
import { createAtlases } from "./atlases.js";
import { createList } from "./list.js";
import { createMaps } from "./maps.js";
import { createReading } from "./reading.js";
import { h, mark, onWidth, say } from "../base/dom.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";
import { asPictures, createKeeping } from "../keeping/bar.js";

/** @param {CompareView} app */
export function createFrame(app) {
  const view = h("div", { class: "sl-cmp", "data-testid": "sl-compare" });
  const shell = createShell(app.root, { sheet: "compare.css", name: "sl-cmp-root" }, view);
  const state = createState(() => app.again());
  const title = h("h2", { "data-testid": "sl-cmp-heads" });
  const says = h("p", { class: "sl-second", "data-testid": "sl-cmp-says" });
  const list = createList(app);
  const maps = createMaps(app);
  const reading = createReading(app);
  const atlases = createAtlases(app);
  const name = () => `sightline-compare-${app.titles().join("-and-")}`.replace(/[^\w-]+/g, "-");
  const keep = createKeeping(app, [
    ...asPictures(() => ({ part: maps.element, lines: [app.says()], name: name() })),
    {
      name: "csv",
      label: "Both heads, CSV",
      says: "A, B and A − B of every cell",
      make: async () => {
        if (!app.cells) throw new Error("There is nothing to save yet.");
        (await import("./sheet.js")).save(app.cells, name());
      },
    },
  ]);
  const body = h(
    "div",
    { class: "sl-cmp-body" },
    h("div", { class: "sl-head-row" }, title, keep.element),
    says,
    list.element,
    maps.element,
    reading.element,
    atlases.element,
  );
  view.append(state.element, body);
  state.show("loading", "Both texts are read, and every head is compared.");
  const unwatch = onWidth(view, () => app.drawSoon());

  return {
    ...shell,
    view,
    state,
    maps,
    atlases,
    list,
    reading,
    busy(/** @type {boolean} */ is) {
      mark(view, "aria-busy", is);
    },
    draw() {
      say(title, app.says());
      say(says, app.notes());
      for (const part of [list, maps, reading, atlases]) part.draw();
    },
    /** Another cell is marked. */
    cross() {
      maps.cross();
      reading.cross();
    },
    remove() {
      unwatch();
      reading.stop();
      shell.remove();
    },
  };
}
