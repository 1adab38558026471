/**
 * Every effect on one line for each layer, with what chance does as a band: plotly's, with the chosen head's ring ours.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 */
import { h, mark } from "../base/dom.js";
import { createFigure } from "../base/figure.js";
import { everyHead } from "./data.js";

/** Of a row, in multiples of the type's size; and of what stands around them. */
const ROW = 2;
const AROUND = 7;

/** @param {ExperimentView} app */
export function createStrip(app) {
  const figure = createFigure({ testid: "sl-exp-figure", free: "Look", placed: () => marks() });
  const ring = h("div", { class: "sl-sp-chosen", hidden: true });
  figure.over.append(ring);
  const stage = h("div", { class: "sl-sp-stage", role: "group" }, figure.element);
  const element = h(
    "section",
    { class: "sl-exp-strip", "aria-label": "Effects beside chance", "data-testid": "sl-exp-strip", hidden: true },
    h("h2", null, "Beside chance"),
    stage,
  );

  function draw() {
    const { heads, source, sourceKey, theme, swept, question } = app;
    element.hidden = !heads?.n;
    if (!heads?.n || !source || !swept) return;
    const query = new URLSearchParams({ of: JSON.stringify(everyHead(app.fill)) });
    if (question) query.set("question", JSON.stringify(question));
    const state = `${heads.n}:${heads.chance}`;
    const rows = heads.layers.length;
    mark(
      stage,
      "aria-label",
      `${heads.n} effects, a row for each layer` +
        (heads.chance === null ? "" : ", with what chance does as a band around 0") +
        ". The table beside the atlas has the same numbers.",
    );
    figure.show(
      `${sourceKey}:${query}:${state}`,
      app.data.plotly,
      theme,
      Math.min(AROUND + ROW * rows, 40),
      async () => {
        const path = `experiment/sweep/strip?${query}&state=${encodeURIComponent(state)}`;
        const { meta } = /** @type {{meta: {strip: import("../base/figure.js").Figure}}} */ (await source.pack(path));
        return meta.strip;
      },
      { name: "sightline-effects-beside-chance", title: app.data.model.name, axes: `${sourceKey}:${query}` },
    );
    marks();
  }

  function marks() {
    const { heads, selected } = app;
    const x = heads && selected !== null ? heads.effects[selected] : NaN;
    const at = heads && selected !== null && x === x ? figure.at(x, heads.places[selected].layer) : null;
    ring.hidden = !at || !figure.holds(at);
    if (at && !ring.hidden) ring.style.transform = `translate(${at.x}px, ${at.y}px)`;
  }

  return { element, draw, marks, destroy: figure.destroy };
}
