/**
 * Where the parts of Grow a head stand.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, say } from "../base/dom.js";
import { createCharts } from "./charts.js";
import { createLiveLine, createRuns, createTasks } from "./choice.js";
import { createForm } from "./form.js";
import { createHeads } from "./heads.js";
import { createScrubber } from "./scrubber.js";
import { createTables } from "./tables.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";

/** @param {Grow} app */
export function createFrame(app) {
  const state = createState(() => app.again());
  const tasks = createTasks(app);
  const runs = createRuns(app);
  const form = createForm(app);
  const live = createLiveLine(app);
  const scrubber = createScrubber(app);
  const charts = createCharts(app);
  const maps = createHeads(app);
  const tables = createTables(app);
  const quiet = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite" });
  const main = h("div", { class: "sl-grow-main" }, charts.element, maps.grids, maps.one);
  const view = h(
    "div",
    { class: "sl-grow" },
    state.element,
    h(
      "header",
      { class: "sl-grow-head" },
      h("h1", null, "Grow a head"),
      h(
        "p",
        { class: "sl-grow-second" },
        "A small transformer of attention alone learns a task. Watch what each of its heads learns to look at.",
      ),
      tables.actions,
    ),
    h("div", { class: "sl-grow-choice" }, tasks.element, runs.element, form.element, live.element),
    scrubber.element,
    main,
    tables.element,
    quiet,
  );
  const shell = createShell(app.root, { sheet: "grow.css", name: "sl-grow-root" }, view);
  state.show("loading", "A recorded training run is on its way.");
  // Words of another size change the view's; the figures are drawn with the size that the theme has.
  const larger = () => app.theme && parseFloat(getComputedStyle(shell.probe).fontSize) !== app.theme.size;
  const resizer = new ResizeObserver(() => (larger() ? requestAnimationFrame(() => app.retheme()) : app.drawSoon()));
  resizer.observe(shell.host);

  return {
    ...shell,
    view,
    state,
    form,
    /** What can be drawn without a run. */
    drawChoice() {
      tasks.draw();
      runs.draw();
      form.draw();
      live.draw();
    },
    draw() {
      for (const part of [scrubber, charts, maps, tables]) part.draw();
    },
    /** The line under the pointer of the curves. @param {number | null} step */
    over: charts.over,
    /** @param {string} text */
    announce: (text) => say(quiet, text),
    focusStop: live.focus,
    remove() {
      resizer.disconnect();
      charts.destroy();
      shell.remove();
    },
  };
}
