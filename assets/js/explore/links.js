/**
 * Links: queries on the left, keys on the right, a line for every weight over the threshold.
 *
 * The canvas is as large as what can be seen; it is drawn again when the reader scrolls, so that 4,096 tokens cost as
 * little as 20.
 *
 * @typedef {import("./app.js").App} App
 * @typedef {{left: number, right: number, top: number, row: number, width: number, height: number, rows: number}}
 *   Geometry
 *   left, right: room for the tokens; top: of the first row, row: its height, CSS pixels; rows: how many
 */
import { h, mark, say } from "../base/dom.js";
import { context, fit, font, widest } from "../base/paint.js";
import { css } from "../base/scale.js";
import { active } from "../base/selection.js";
import { MASKED } from "../base/wire.js";
import { advice, count } from "../base/words.js";

/** More lines than this at once cannot be told apart: the strongest are drawn, and the words say so. */
const MOST = 1500;

/** @param {App} app */
export function createLinks(app) {
  const canvas = h("canvas", { role: "img", "data-testid": "sl-links" });
  const spacer = h("div", { class: "sl-spacer" });
  const scroller = h(
    "div",
    { class: "sl-scroller", tabindex: "0", role: "region", "aria-label": "Links between queries and keys" },
    canvas,
    spacer,
  );
  const slider = h("input", {
    type: "range",
    min: "0",
    max: "1",
    step: "0.01",
    "aria-label": "Threshold: hide links below this weight",
  });
  const value = h("output", null);
  const says = h("p", { class: "sl-caption" });
  const element = h(
    "div",
    { class: "sl-links" },
    scroller,
    h("label", { class: "sl-threshold" }, h("span", null, "threshold"), slider, value),
    says,
  );
  let geometry = { left: 0, right: 0, top: 0, row: 22, width: 0, height: 0, rows: 0 };
  /** @type {{of: number, threshold: number, drawn: number, all: number} | null} */
  let tally = null;

  slider.oninput = () => app.setOption("threshold", Number(slider.value));
  let scrolled = 0;
  /** @type {import("../base/selection.js").Mark | null} the mark that was scrolled to */
  let revealed = null;
  scroller.onscroll = () => {
    scrolled = scroller.scrollTop;
    paint();
  };
  canvas.onpointermove = (event) => {
    const at = tokenAt(event);
    app.dispatch(at ? { type: "hover", ...at } : { type: "leave" });
  };
  canvas.onpointerleave = () => app.dispatch({ type: "leave" });
  canvas.onclick = (event) => {
    const at = tokenAt(event);
    if (at) app.dispatch({ type: "pin", ...at });
  };

  /** @param {MouseEvent} event */
  function tokenAt(event) {
    if (!app.matrix) return null;
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top + scrolled - geometry.top) / geometry.row);
    const left = event.clientX - box.left < geometry.width / 2;
    if (row < 0 || row >= (left ? app.matrix.nQuery : app.matrix.nKey)) return null;
    return left ? { query: row, key: null } : { query: null, key: row };
  }

  /** @param {number} level */
  function draw(level) {
    const { matrix, options } = app;
    if (!matrix) return;
    if (level >= 2) {
      const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      geometry = geometryOf(ctx, app, level >= 3 || !geometry.width ? scroller.clientWidth || 240 : geometry.width);
      const { top, row, rows, height } = geometry;
      scroller.style.height = `${height}px`;
      spacer.style.height = `${Math.max(top + rows * row + 4 - height, 0)}px`;
      mark(
        canvas,
        "aria-label",
        `Links from queries to keys, ${app.overview?.title(app.selection.layer, app.selection.head)}; the ` +
          "table below holds the same numbers.",
      );
      slider.value = String(options.threshold);
      slider.disabled = !matrix.single;
      say(value, options.threshold.toFixed(2));
      tally = null;
    }
    const seen = app.rested;
    if (seen && revealed !== seen) {
      revealed = seen;
      const at = seen.query ?? seen.key ?? 0;
      const y = geometry.top + at * geometry.row;
      if (y < scrolled || y + geometry.row > scrolled + geometry.height) {
        scroller.scrollTop = y - geometry.height / 2;
        scrolled = scroller.scrollTop;
      }
    }
    paint();
  }

  function paint() {
    const { matrix, theme, options, selection } = app;
    if (!matrix) return;
    const ctx = context(canvas, geometry.width, geometry.height);
    const now = active(selection);
    const first = Math.max(Math.floor((scrolled - geometry.top) / geometry.row), 0);
    const last = Math.ceil((scrolled + geometry.height - geometry.top) / geometry.row);
    const y = (/** @type {number} */ at) => geometry.top + (at + 0.5) * geometry.row - scrolled;
    const x0 = geometry.left;
    const x1 = geometry.width - geometry.right;
    /** @param {number} q @param {number} k */
    const curve = (q, k) => {
      const [a, b] = [y(q), y(k)];
      const bend = (x1 - x0) * 0.4;
      ctx.moveTo(x0, a);
      ctx.bezierCurveTo(x0 + bend, a, x1 - bend, b, x1, b);
    };
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, geometry.top, geometry.width, geometry.height - geometry.top);
    ctx.clip();
    if (matrix.single) {
      const found = visible(matrix, options.threshold, first, last);
      if (!tally) tally = tallyOf(matrix, options.threshold);
      bundle(ctx, found.links, css(theme.ink), now ? 0.16 : 0.8, curve);
      tally.drawn = found.links.length;
    }
    if (now) {
      const axis = now.query !== null ? "query" : "key";
      const line = matrix.line(axis, /** @type {number} */ (now.query ?? now.key));
      if (line) {
        const links = [];
        for (let i = 0; i < line.weights.length; i++) {
          const w = line.weights[i];
          if (w >= options.threshold && w > 0)
            links.push(axis === "query" ? { q: now.query ?? 0, k: i, w } : { q: i, k: now.key ?? 0, w });
        }
        bundle(ctx, links, css(axis === "query" ? theme.query : theme.key), 1, curve);
      }
    }
    labels(ctx, app, geometry, { first, last, y });
    ctx.restore();
    ctx.font = font(theme, 1, "ui", 600);
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    ctx.fillStyle = css(theme.query);
    ctx.fillText("queries", x0 - 8, theme.size * 0.75);
    ctx.textAlign = "left";
    ctx.fillStyle = css(theme.key);
    ctx.fillText("keys", x1 + 8, theme.size * 0.75);
    say(says, words(matrix, first, last, now));
  }

  /**
   * @param {import("../picture/matrix.js").Matrix} matrix
   * @param {number} first
   * @param {number} last
   * @param {import("../base/selection.js").Mark | null} now
   */
  function words(matrix, first, last, now) {
    const parts = [];
    if (!matrix.single)
      parts.push(
        now ? "links of the marked token" : `at this length: ${advice("hover or pin", "tap")} a token to see its links`,
      );
    else if (tally)
      parts.push(
        `${count(tally.all)} of ${count(tally.of)} links ` +
          `shown${tally.drawn >= MOST ? `, the strongest ${count(MOST)} drawn` : ""}`,
      );
    if (geometry.rows * geometry.row > geometry.height) {
      parts.push(
        `tokens ${count(first)}–${count(Math.min(last, geometry.rows) - 1)} of ${count(geometry.rows)}; ` +
          "scroll for more",
      );
    }
    return parts.join(" · ");
  }

  return { element, draw };
}

/**
 * Where the two columns stand, and how high a row is.
 * @param {CanvasRenderingContext2D} ctx
 * @param {App} app
 * @param {number} width
 * @returns {Geometry}
 */
function geometryOf(ctx, app, width) {
  const { size } = app.theme;
  const rows = Math.max(app.matrix?.nQuery ?? 0, app.matrix?.nKey ?? 0);
  const top = Math.round(size * 1.8);
  const room = Math.max(app.heatmapHeight() - 14, 160);
  const row = Math.min(Math.max(Math.floor((room - top) / rows), Math.round(size * 1.45)), Math.round(size * 2.2));
  ctx.font = font(app.theme);
  const most = width * 0.34;
  return {
    left: Math.min(widest(ctx, ["queries", ...app.queries.map((token) => token.t)]), most) + 14,
    right: Math.min(widest(ctx, ["keys", ...app.keys.map((token) => token.t)]), most) + 14,
    top,
    row,
    width,
    height: Math.min(room, top + rows * row + 4),
    rows,
  };
}

/**
 * Tokens on both sides: the marked one bold, those that it is linked with dark.
 * @param {CanvasRenderingContext2D} ctx
 * @param {App} app
 * @param {Geometry} geometry
 * @param {{first: number, last: number, y: (at: number) => number}} rows that are seen
 */
function labels(ctx, app, geometry, { first, last, y }) {
  const { theme, matrix } = app;
  const now = active(app.selection);
  const focus =
    now && matrix
      ? matrix.line(now.query !== null ? "query" : "key", /** @type {number} */ (now.query ?? now.key))
      : null;
  ctx.textBaseline = "middle";
  for (const side of /** @type {const} */ (["query", "key"])) {
    const tokens = side === "query" ? app.queries : app.keys;
    const here = side === "query" ? now?.query : now?.key;
    const other = Boolean(now && (side === "query" ? now.query === null : now.query !== null));
    const x = side === "query" ? geometry.left - 8 : geometry.width - geometry.right + 8;
    const room = (side === "query" ? geometry.left : geometry.right) - 10;
    ctx.textAlign = side === "query" ? "right" : "left";
    for (let i = first; i < Math.min(last + 1, tokens.length); i++) {
      const lit = other && focus ? focus.weights[i] >= app.options.threshold && focus.weights[i] > 0 : false;
      const chosen = i === here;
      ctx.font = font(theme, 1, "mono", chosen ? 700 : 400);
      ctx.fillStyle = css(chosen ? theme[side] : lit || !now ? theme.ink : theme.ink2);
      ctx.fillText(fit(ctx, tokens[i].t, room), x, y(i));
    }
  }
}

/**
 * The links over the threshold with an end in sight, strongest last.
 *
 * @param {import("../picture/matrix.js").Matrix} matrix @param {number} threshold @param {number} first @param {number}
 *   last
 */
function visible(matrix, threshold, first, last) {
  const { codes, nQuery, nKey, kind } = matrix;
  const least = Math.max(Math.ceil(threshold * kind.top), 1);
  /** @type {{q: number, k: number, w: number}[]} */
  const links = [];
  for (let q = 0; q < nQuery; q++) {
    const seen = q >= first && q <= last;
    const from = seen ? 0 : Math.max(first, 0);
    const to = seen ? nKey : Math.min(last + 1, nKey);
    for (let k = from; k < to; k++) {
      const code = codes[q * nKey + k];
      if (code >= least && code <= kind.top) links.push({ q, k, w: code / kind.top });
    }
  }
  if (links.length > MOST) {
    links.sort((a, b) => b.w - a.w);
    links.length = MOST;
  }
  return { links };
}

/** @param {import("../picture/matrix.js").Matrix} matrix @param {number} threshold */
function tallyOf({ codes, kind }, threshold) {
  let all = 0;
  let of = 0;
  const least = Math.max(Math.ceil(threshold * kind.top), 1);
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] > kind.top) continue;
    of += 1;
    if (codes[i] >= least) all += 1;
  }
  return { of, all, threshold, drawn: 0 };
}

/**
 * Lines in ten steps of width and strength, one path for each step.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{q: number, k: number, w: number}[]} links
 * @param {string} colour
 * @param {number} strength
 * @param {(q: number, k: number) => void} curve
 */
function bundle(ctx, links, colour, strength, curve) {
  const steps = Array.from({ length: 10 }, () => /** @type {typeof links} */ ([]));
  for (const link of links) if (link.w !== MASKED) steps[Math.min(Math.floor(link.w * 10), 9)].push(link);
  ctx.strokeStyle = colour;
  ctx.lineCap = "round";
  steps.forEach((step, i) => {
    if (!step.length) return;
    const w = (i + 0.5) / 10;
    ctx.globalAlpha = strength * (0.12 + 0.88 * w);
    ctx.lineWidth = 0.75 + 6 * w;
    ctx.beginPath();
    for (const { q, k } of step) curve(q, k);
    ctx.stroke();
  });
  ctx.globalAlpha = 1;
}
