/**
 * Loss above, the heads' scores below, with one step axis: what is drawn, what the words over it say.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h } from "../base/dom.js";
import { CLASSES } from "./classes.js";
import { createCurves, nearest } from "./curves.js";

/** Of the figures, in multiples of the type's size. */
const TALL = { loss: 17, scores: 18 };

/** @param {Grow} app */
export function createCharts(app) {
  /** @param {number | null} step */
  const over = (step) => {
    for (const chart of [loss, scores]) chart.over(step);
    app.hovered = step;
    drawLegends();
  };
  const go = (/** @type {number} */ step) => app.jumpTo(step);
  const loss = createCurves({ testid: "sl-loss-figure", go, hover: over, zoomed: () => follow(loss) });
  const scores = createCurves({ testid: "sl-scores-figure", go, hover: over, zoomed: () => follow(scores) });
  const lossLegend = h("div", { class: "sl-grow-legend", "data-testid": "sl-loss" });
  const scoreLegend = h("div", { class: "sl-grow-legend", "data-testid": "sl-scores" });
  const element = h(
    "section",
    { class: "sl-grow-charts", "aria-label": "Curves" },
    h("h2", null, "Loss"),
    lossLegend,
    loss.element,
    h("h2", null, "What heads do"),
    scoreLegend,
    scores.element,
  );

  const figures = /** @type {const} */ ([
    ["loss", loss],
    ["scores", scores],
  ]);

  /** The other chart shows the same steps. @param {ReturnType<typeof createCurves>} one */
  function follow(one) {
    const range = one.acrossRange;
    if (range) (one === loss ? scores : loss).setAcross(range);
  }

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

  /** Both figures come in one answer. @type {{key: string, figures: Promise<Record<string, any>>}} */
  let asked = { key: "", figures: Promise.resolve({}) };

  /** @param {string} key @param {"loss" | "scores"} which */
  async function figure(key, which) {
    if (asked.key !== key) asked = { key, figures: app.curves() };
    try {
      return (await asked.figures)[which];
    } catch (error) {
      if (asked.key === key) asked = { key: "", figures: Promise.resolve({}) }; // the next one asks again
      throw error;
    }
  }

  return {
    element,
    over,
    draw() {
      const run = /** @type {import("./run.js").Run} */ (app.run);
      const { other, theme } = app;
      const both = other ? [run, other] : [run];
      const last = Math.max(...both.map((one) => Math.max(one.facts.n_steps, one.steps.at(-1) ?? 0)));
      const key = both.map((one) => `${app.addressOf(one)}:${one.saved}:${one.facts.moments.length}`).join("|");
      const names = both.map((one) => one.facts.name).join("-");
      const titles = both.map((one) => `${app.task.title}: ${one.facts.title}`).join(" against ");
      const axes = both.map((one) => app.addressOf(one)).join("|");
      // A run that the server has forgotten for the next one keeps its picture until that has something to show.
      const there = both.every((one) => app.addressOf(one));
      for (const [which, chart] of there ? figures : [])
        chart.show(key, app.data.plotly, theme, TALL[which], () => figure(key, which), {
          name: `sightline-${names}-${which}`,
          title: titles,
          axes,
        });
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
        `Loss over ${last} steps of training, now ${number(run.loss[app.index])} nats at step ${step}. The ` +
          "table below has every number.",
      );
      scores.describe(
        `${run.facts.scores.map((score) => score.title).join(" and ")} of every head over ${last} steps of ` +
          "training. The table below has every number.",
      );
      drawLegends();
    },
    destroy() {
      loss.destroy();
      scores.destroy();
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
