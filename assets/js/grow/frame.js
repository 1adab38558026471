/**
 * Where the parts of Grow a head stand, and its curves: loss above, the heads' scores below.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, say } from "../base/dom.js";
import { createLiveLine, createRuns, createTasks } from "./choice.js";
import { CLASSES, classOf } from "./classes.js";
import { createCurves, nearest } from "./curves.js";
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
  const resizer = new ResizeObserver(() => app.drawSoon());
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
      shell.remove();
    },
  };
}

/** Loss above, the heads' scores below, with one step axis. @param {Grow} app */
function createCharts(app) {
  /** @param {number | null} step */
  const over = (step) => {
    for (const chart of [loss, scores]) chart.over(step);
    app.hovered = step;
    drawLegends();
  };
  const go = (/** @type {number} */ step) => app.jumpTo(step);
  const loss = createCurves({ label: "Loss over the steps of training", tall: 11, go, hover: over });
  const scores = createCurves({
    label: "Scores of the heads over the steps of training",
    tall: 12,
    go,
    hover: over,
    xTitle: true,
  });
  const lossLegend = h("div", { class: "sl-grow-legend", "data-testid": "sl-loss" });
  const scoreLegend = h("div", { class: "sl-grow-legend", "data-testid": "sl-scores" });
  const element = h(
    "section",
    { class: "sl-grow-charts", "aria-label": "Curves" },
    h("h2", null, "Loss"),
    lossLegend,
    h("div", { class: "sl-grow-chart" }, loss.element),
    h("h2", null, "What heads do"),
    scoreLegend,
    h("div", { class: "sl-grow-chart" }, scores.element),
  );

  /** Which saves are read: at the pointer, else at the scrubber. */
  function readAt() {
    const run = /** @type {import("./run.js").Run} */ (app.run);
    const index = app.hovered === null ? app.index : nearest(run.steps, app.hovered);
    const found = [{ run, at: index, second: false }];
    if (app.other) found.push({ run: app.other, at: nearest(app.other.steps, run.steps[index]), second: true });
    return found;
  }

  function drawLegends() {
    if (!app.run) return;
    const read = readAt();
    const step = app.hovered === null ? "" : ` at step ${read[0].run.steps[read[0].at]}`;
    lossLegend.replaceChildren(
      ...read.map(({ run, at, second }) =>
        entry(
          "sl-loss",
          second,
          app.other ? run.facts.title : "surprise",
          number(run.loss[at]),
          `nats${run.right[at] === run.right[at] ? `, ${(100 * run.right[at]).toFixed(0)} % right` : ""}${step}`,
        ),
      ),
    );
    scoreLegend.replaceChildren(
      ...read.flatMap(({ run, at, second }) =>
        run.facts.scores.map((score, s) => {
          const { layer, head } = run.best(s);
          return entry(
            CLASSES[s % CLASSES.length],
            second,
            `${score.title}, layer ${layer} head ${head}`,
            number(run.score(at, s, layer, head)),
            app.hovered === null ? "" : step,
          );
        }),
      ),
    );
  }

  return {
    element,
    over,
    draw() {
      const run = /** @type {import("./run.js").Run} */ (app.run);
      const { other } = app;
      const size = app.theme.size;
      const both = other ? [run, other] : [run];
      const last = Math.max(...both.map((one) => Math.max(one.facts.n_steps, one.steps.at(-1) ?? 0)));
      const chance = run.facts.chance;
      const peak = Math.max(chance ?? 0, ...both.flatMap((one) => one.loss.filter((x) => x === x)));
      const key = both.map((one) => `${app.idOf(one)}:${one.saved}:${one.facts.moments.length}`).join("|");
      const marks = run.facts.moments.map(({ name, step }) => ({ step, cls: classOf(app, name) }));
      loss.draw(
        {
          lines: both.map((one, i) => ({
            steps: one.steps,
            second: i > 0,
            series: [{ name: "loss", cls: "sl-loss", values: one.loss }],
          })),
          last,
          top: peak * 1.08 || 1,
          level: chance === null ? null : { value: chance, label: `chance ${chance.toFixed(2)}` },
          marks,
        },
        key,
        size,
      );
      scores.draw(
        {
          lines: both.map((one, i) => ({
            steps: one.steps,
            second: i > 0,
            series: one.facts.scores.flatMap((_, s) => {
              const best = one.best(s);
              const cls = CLASSES[s % CLASSES.length];
              const faint =
                i > 0 ? [] : one.heads.filter(({ layer, head }) => layer !== best.layer || head !== best.head);
              return [
                ...faint.map(({ layer, head }) => ({ name: "", cls, values: one.curve(s, layer, head), faint: true })),
                { name: "", cls, values: one.curve(s, best.layer, best.head) },
              ];
            }),
          })),
          last,
          top: 1,
          level: null,
          marks,
        },
        key,
        size,
      );
      const step = run.steps[app.index];
      const at = readAt();
      if (app.hovered === null) {
        loss.point(
          step,
          at.map(({ run: one, at: i, second }) => ({ cls: "sl-loss", value: one.loss[i], second, step: one.steps[i] })),
        );
        scores.point(
          step,
          at.flatMap(({ run: one, at: i, second }) =>
            one.facts.scores.map((_, s) => {
              const { layer, head } = one.best(s);
              return {
                cls: CLASSES[s % CLASSES.length],
                value: one.score(i, s, layer, head),
                second,
                step: one.steps[i],
              };
            }),
          ),
        );
      }
      loss.describe(
        `Loss over ${last} steps of training, now ${number(run.loss[app.index])} nats at step ${step}. The table below has every number.`,
      );
      scores.describe(
        `${run.facts.scores.map((score) => score.title).join(" and ")} of every head over ${last} steps of training. The table below has every number.`,
      );
      drawLegends();
    },
  };
}

/** @param {string} cls @param {boolean} second @param {string} name @param {string} value @param {string} [after] */
function entry(cls, second, name, value, after = "") {
  return h(
    "span",
    { class: "sl-grow-entry" },
    h("i", { class: `sl-grow-sample ${cls}`, "data-second": second, "aria-hidden": "true" }),
    name,
    " ",
    h("b", { class: "sl-mono" }, value),
    after ? ` ${after}` : "",
  );
}

/** @param {number} x */
function number(x) {
  return x === x && x !== null ? x.toFixed(2) : "–";
}
