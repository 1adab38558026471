/**
 * Two metrics against each other: a point for every head. Labelled heads are full and carry their letter.
 *
 * The figure is the server's and drawn by plotly; the rings, what is chosen and the way from head to head are ours.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";
import { createFigure } from "../base/figure.js";
import { aligned, LOOK } from "./data.js";
import { fill } from "./map.js";
import { hit, legible, split, step } from "./plot.js";

/** Of the figure, in multiples of the type's size. */
const TALL = 24;

/** @param {HeadsView} app */
export function createScatter(app) {
  const selects = /** @type {const} */ (["metric_x", "metric_y"]).map((which) => {
    const name = which === "metric_x" ? "across" : "up";
    const select = h("select", {
      "aria-label": `The scatter’s metric ${name}`,
      "data-testid": `sl-${which.replace("_", "-")}`,
      onchange: () => app.setMetric(which, select.value),
    });
    return select;
  });
  const figure = createFigure({
    testid: "sl-scatter-figure",
    free: "Choose heads",
    placed: (one) => place(one.numbers),
  });
  const chosen = h("div", { class: "sl-sp-chosen", hidden: true });
  const hovered = h("div", { class: "sl-sp-hovered", hidden: true });
  figure.over.append(chosen, hovered);
  const stage = h(
    "div",
    { class: "sl-sp-stage", tabindex: "0", role: "application", "aria-roledescription": "scatter plot" },
    figure.element,
  );
  const readout = h("p", { class: "sl-hm-readout", "aria-hidden": "true" });
  const missing = h("p", { class: "sl-second" });
  const element = h(
    "section",
    { class: "sl-sp", "aria-label": "Scatter of two metrics", "data-testid": "sl-heads-scatter" },
    h(
      "div",
      { class: "sl-head-row" },
      h("h2", null, "Two metrics"),
      h(
        "span",
        { class: "sl-picks" },
        h("label", { class: "sl-pick" }, "up", selects[1]),
        h("label", { class: "sl-pick" }, "across", selects[0]),
      ),
    ),
    stage,
    readout,
    missing,
  );
  /** @type {import("./plot.js").Point[]} */
  let all = [];
  /** @type {Map<number, import("./plot.js").Point>} */
  let byHead = new Map();

  /** @param {MouseEvent} event */
  const under = (event) => {
    const box = figure.element.getBoundingClientRect();
    const inside = all.filter((point) => figure.holds(point));
    return hit(inside, event.clientX - box.left, event.clientY - box.top);
  };
  /** The buttons over the figure are plotly's. @param {Event} event */
  const onButtons = (event) => /** @type {Element} */ (event.target).closest(".modebar, .sl-figure-told") !== null;
  stage.onpointermove = (event) => {
    const point = onButtons(event) ? null : under(event);
    stage.style.cursor = point ? "pointer" : "";
    app.hover(point?.i ?? null, "scatter");
  };
  stage.onpointerleave = () => app.hover(null, "scatter");
  stage.onclick = (event) => {
    const point = onButtons(event) ? null : under(event);
    if (!point) return;
    if (point.i === app.selected) app.open(point.i);
    else app.choose(point.i, "scatter");
  };
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || onButtons(event)) return;
    if (event.key === "Enter" && app.selected !== null) app.open(app.selected);
    else {
      if (!/^(Arrow|Home$|End$)/.test(event.key)) return;
      const next = step(all, app.selected === null ? null : (byHead.get(app.selected) ?? null), event.key);
      if (next) app.choose(next.i, "scatter");
    }
    event.preventDefault();
  };

  /** @param {number} i */
  function letter(i) {
    const label = app.heads.label(i);
    return label ? app.letter(label) : "";
  }

  /** Where the server has the figure. */
  function path() {
    const { heads, metric_x: x, metric_y: y, lookOf, group } = app;
    const names = [x, y].map(encodeURIComponent).join("/");
    if (x !== LOOK && y !== LOOK) return `heads/scatter/${names}`;
    const pair = { group: heads.groups[group].all, query: String(lookOf.query), of: String(lookOf.key) };
    return `heads/scatter/${names}?${new URLSearchParams(pair)}`;
  }

  function draw() {
    const { heads, theme, metric_x: x, metric_y: y, shown, source, sourceKey } = app;
    fill(selects[0], heads.choices, x);
    fill(selects[1], heads.choices, y);
    const wanted = path();
    const [xTitle, yTitle] = [heads.metric(x)?.title ?? "", heads.metric(y)?.title ?? ""];
    const both = shown.filter((i) => [x, y].every((name) => Number.isFinite(heads.value(name, i))));
    const get = async () => {
      const found = split((await /** @type {any} */ (source).pack(wanted)).meta.scatter, shown, letter);
      return { ...found.figure, numbers: found.numbers };
    };
    const marks = heads.cards ? shown.map(letter).join() : "";
    figure.show(`${sourceKey}:${wanted}:${shown.join()}:${marks}`, app.data.plotly, theme, TALL, get, {
      name: `sightline-${y}-against-${x}`,
      title: `${yTitle} against ${xTitle}, ${both.length} heads`,
      axes: `${sourceKey}:${wanted}`,
    });
    mark(
      stage,
      "aria-label",
      `${yTitle} against ${xTitle}, ${both.length} heads. Arrow keys go from head to head, Enter opens it ` +
        "in Explore; the table has the same numbers.",
    );
    const left = shown.length - both.length;
    say(missing, left ? `${left} ${left === 1 ? "head has" : "heads have"} no such number and no point.` : "");
    marksOf();
  }

  /** The axes stand. @param {{i: number, x: number, y: number}[]} drawn  the heads between them, with their numbers */
  function place(drawn) {
    all = drawn.map(({ i, x, y }) => ({ i, ...figure.at(x, y) }));
    byHead = new Map(all.map((point) => [point.i, point]));
    const labelled = all.filter(({ i }) => letter(i)).map((point) => ({ ...point, letter: letter(point.i) }));
    figure.setText(1, legible(labelled, app.theme.size));
    marksOf();
  }

  function marksOf() {
    const { heads, selected, hovered: over, metric_x: x, metric_y: y } = app;
    put(chosen, selected === null ? undefined : byHead.get(selected));
    put(hovered, over === null ? undefined : byHead.get(over));
    const i = over ?? selected;
    if (i === null) say(readout, " ");
    else
      say(
        readout,
        `${heads.titleOf(i)}: ` +
          [y, x]
            .map((name) => `${heads.metric(name)?.title} ${aligned(heads.value(name, i), heads.range(name))}`)
            .join(", "),
      );
  }

  /** @param {HTMLElement} ring @param {import("./plot.js").Point | undefined} point */
  function put(ring, point) {
    ring.hidden = !point || !figure.holds(point);
    if (point && !ring.hidden) ring.style.transform = `translate(${point.x}px, ${point.y}px)`;
  }

  return { element, draw, marks: marksOf, destroy: figure.destroy };
}
