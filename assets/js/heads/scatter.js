/**
 * Two metrics against each other: a point for every head. Labelled heads are full and carry their letter.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";
import { aligned, number } from "./data.js";
import { fill } from "./map.js";
import { hit, plotGeometry, points, step, ticks } from "./plot.js";
import { context, font } from "../base/paint.js";
import { css } from "../base/scale.js";

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
  const canvas = h("canvas", { "aria-hidden": "true" });
  const chosen = h("div", { class: "sl-sp-chosen", hidden: true });
  const hovered = h("div", { class: "sl-sp-hovered", hidden: true });
  const stage = h(
    "div",
    { class: "sl-sp-stage", tabindex: "0", role: "application", "aria-roledescription": "scatter plot" },
    canvas,
    chosen,
    hovered,
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
    const box = canvas.getBoundingClientRect();
    return hit(all, event.clientX - box.left, event.clientY - box.top);
  };
  stage.onpointermove = (event) => {
    const point = under(event);
    stage.style.cursor = point ? "pointer" : "default";
    app.hover(point?.i ?? null, "scatter");
  };
  stage.onpointerleave = () => app.hover(null, "scatter");
  stage.onclick = (event) => {
    const point = under(event);
    if (!point) return;
    if (point.i === app.selected) app.open(point.i);
    else app.choose(point.i, "scatter");
  };
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && app.selected !== null) app.open(app.selected);
    else {
      if (!/^(Arrow|Home$|End$)/.test(event.key)) return;
      const next = step(all, app.selected === null ? null : (byHead.get(app.selected) ?? null), event.key);
      if (next) app.choose(next.i, "scatter");
    }
    event.preventDefault();
  };

  function draw() {
    const { heads, theme, metric_x: x, metric_y: y, shown } = app;
    fill(selects[0], heads.choices, x);
    fill(selects[1], heads.choices, y);
    const width = stage.clientWidth || 380;
    const { height, box } = plotGeometry(width, theme.size);
    const [xRange, yRange] = [heads.range(x), heads.range(y)];
    all = points(
      shown,
      (i) => heads.value(x, i),
      (i) => heads.value(y, i),
      xRange,
      yRange,
      box,
    );
    byHead = new Map(all.map((point) => [point.i, point]));
    const ctx = context(canvas, width, height);
    drawAxes(ctx, app, box, xRange, yRange);
    drawPoints(ctx, app, all);
    const [xTitle, yTitle] = [heads.metric(x)?.title ?? "", heads.metric(y)?.title ?? ""];
    mark(
      stage,
      "aria-label",
      `${yTitle} against ${xTitle}, ${all.length} heads. Arrow keys go from head to head, Enter opens it in Explore; the table has the same numbers.`,
    );
    const left = shown.length - all.length;
    say(missing, left ? `${left} ${left === 1 ? "head has" : "heads have"} no such number and no point.` : "");
    marks();
  }

  function marks() {
    const { heads, selected, hovered: over, metric_x: x, metric_y: y } = app;
    put(chosen, selected === null ? undefined : byHead.get(selected));
    put(hovered, over === null ? undefined : byHead.get(over));
    const i = over ?? selected;
    if (i === null) say(readout, " ");
    else
      say(
        readout,
        `${heads.titleOf(i)}: ${[y, x].map((name) => `${heads.metric(name)?.title} ${aligned(heads.value(name, i), heads.range(name))}`).join(", ")}`,
      );
  }

  return { element, draw, marks };
}

/** @param {HTMLElement} ring @param {import("./plot.js").Point | undefined} point */
function put(ring, point) {
  ring.hidden = !point;
  if (point) ring.style.transform = `translate(${point.x}px, ${point.y}px)`;
}

/** @param {CanvasRenderingContext2D} ctx @param {HeadsView} app @param {import("./plot.js").Box} box @param {import("./data.js").Range} xRange @param {import("./data.js").Range} yRange */
function drawAxes(ctx, { heads, theme, metric_x: x, metric_y: y }, box, xRange, yRange) {
  const { size } = theme;
  ctx.strokeStyle = css(theme.line);
  ctx.fillStyle = css(theme.ink2);
  ctx.lineWidth = 1;
  ctx.font = font(theme, 1, "mono");
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  for (const value of ticks(yRange)) {
    const at = Math.round(box.y + (1 - (value - yRange.low) / (yRange.high - yRange.low)) * box.h) + 0.5;
    line(ctx, box.x, at, box.x + box.w, at);
    ctx.fillText(number(value), box.x - 8, at);
  }
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const value of ticks(xRange)) {
    const at = Math.round(box.x + ((value - xRange.low) / (xRange.high - xRange.low)) * box.w) + 0.5;
    line(ctx, at, box.y, at, box.y + box.h);
    ctx.fillText(number(value), at, box.y + box.h + 6);
  }
  ctx.font = font(theme, 1, "ui");
  ctx.fillStyle = css(theme.ink);
  ctx.textAlign = "right";
  ctx.fillText(named(heads.metric(x), "→"), box.x + box.w, box.y + box.h + size * 1.85);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillText(named(heads.metric(y), "↑"), 2, box.y - size * 1.15);
}

/** @param {import("./data.js").Metric | undefined} metric @param {string} arrow */
function named(metric, arrow) {
  return metric ? `${metric.title}, ${metric.unit} ${arrow}` : "";
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** Those without a label first, so that letters stand on top. @param {CanvasRenderingContext2D} ctx @param {HeadsView} app @param {import("./plot.js").Point[]} all */
function drawPoints(ctx, app, all) {
  const { theme, heads } = app;
  const r = Math.max(theme.size * 0.3, 4);
  ctx.lineWidth = 1.5;
  for (const { i, x, y } of all) {
    if (heads.label(i)) continue;
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 7);
    ctx.fillStyle = css(theme.panel, 0.75);
    ctx.fill();
    ctx.strokeStyle = css(theme.ink2, 0.8);
    ctx.stroke();
  }
  /** @type {{x: number, y: number}[]} */
  const written = [];
  ctx.font = font(theme, 1, "ui", 600);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const { i, x, y } of all) {
    const label = heads.label(i);
    if (!label) continue;
    ctx.fillStyle = css(theme.focus);
    ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
    // A letter on a letter could not be read; the full square still says that there is a label.
    if (written.some((other) => Math.abs(other.x - x) < theme.size && Math.abs(other.y - y) < theme.size)) continue;
    written.push({ x, y });
    ctx.strokeStyle = css(theme.paper);
    ctx.lineWidth = 3;
    ctx.strokeText(app.letter(label), x + r + 3, y);
    ctx.fillStyle = css(theme.ink);
    ctx.fillText(app.letter(label), x + r + 3, y);
  }
}
