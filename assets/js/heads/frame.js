/**
 * What stands where on the Heads page: status and reading on top, a learner's question, map and scatter, table, what
 * lies across layers, and the chosen head beside them.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, onWidth, say } from "../base/dom.js";
import { createAcross } from "./across.js";
import { createFilter, createStatus } from "./filter.js";
import { createFind } from "./find.js";
import { createMap } from "./map.js";
import { createPanel } from "./panel.js";
import { createReading } from "./reading.js";
import { createScatter } from "./scatter.js";
import { createTable } from "./table.js";
import { createTip } from "./tip.js";
import { createWrites } from "./writes.js";
import { asPictures, createKeeping } from "../keeping/bar.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";
import { advice } from "../base/words.js";

/** @param {HeadsView} app */
export function createFrame(app) {
  const live = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite", "data-testid": "sl-heads-live" });
  const view = h("div", { class: "sl-heads" });
  const shell = createShell(app.root, { sheet: "heads.css", name: "sl-heads-root" }, view, live);
  const tip = createTip(shell.host);
  const state = createState(() => app.again());
  const status = createStatus(app);
  const reading = createReading(app);
  const map = createMap(app);
  const scatter = createScatter(app);
  const find = createFind(app);
  const filter = createFilter(app);
  const table = createTable(app);
  const panel = createPanel(app);
  const across = createAcross(app);
  const writes = createWrites(app);
  const keep = createKeeping(app, [
    ...asPictures(map.slide),
    {
      name: "csv",
      label: "All heads, CSV",
      says: "for a spreadsheet",
      make: async () => (await import("./sheet.js")).save(app.heads),
    },
  ]);
  const hint = h(
    "p",
    { class: "sl-second sl-heads-hint" },
    advice(
      "One click chooses a head everywhere on this page; a second click, Enter or its name in the table " +
        "opens it in Explore.",
      "One tap chooses a head everywhere on this page; a second one, or its name in the table, opens it in Explore.",
    ),
  );
  const plots = h("div", { class: "sl-heads-plots" }, map.element, scatter.element);
  const numbers = h("div", { class: "sl-heads-numbers" }, filter.element, table.element);
  const body = h(
    "div",
    { class: "sl-heads-body" },
    h(
      "div",
      { class: "sl-heads-top" },
      h("div", { class: "sl-head-row" }, status.element, keep.element),
      reading.element,
      hint,
    ),
    find.element,
    plots,
    numbers,
    across.element,
    writes.element,
    panel.element,
  );
  view.append(state.element, body);
  state.show("loading", "Every metric is computed for every head.");
  const unwatch = onWidth(view, () => app.draw());

  return {
    ...shell,
    view,
    tip,
    state,
    status,
    reading,
    map,
    scatter,
    find,
    table,
    panel,
    writes,
    draw() {
      for (const part of [status, reading, map, scatter, find, filter, table, panel, across, writes]) part.draw();
    },
    /** @param {string} text */
    announce: (text) => say(live, text),
    remove() {
      unwatch();
      scatter.destroy();
      shell.remove();
    },
  };
}
