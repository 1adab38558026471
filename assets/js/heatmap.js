/**
 * The heatmap of one head: queries down, keys across.
 *
 * The base canvas holds cells and labels and is painted when the head, the size or the zoom changes; a second canvas
 * over it holds the crosshair, so that hovering paints a few rectangles.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say } from "./dom.js";
import { cellAt, cellBox, heatmapGeometry, isWhole, pan, reveal, thin, tilesOf, wholeView, zoom } from "./layout.js";
import { blockMax } from "./matrix.js";
import { context, fit, font, hatch, picture, widest } from "./paint.js";
import { css, lookup, rampAt, textOn } from "./scale.js";
import { active } from "./selection.js";
import { MASKED, U2 } from "./wire.js";
import { caption, count } from "./words.js";

/** @param {App} app */
export function createHeatmap(app) {
  const base = h("canvas", { "aria-hidden": "true" });
  const over = h("canvas", { "aria-hidden": "true", class: "sl-over" });
  const stage = h("div", {
    class: "sl-stage",
    role: "application",
    "aria-roledescription": "heatmap",
    tabindex: "0",
    "data-testid": "sl-heatmap",
  }, base, over);
  const zooms = h("div", { class: "sl-zoom", role: "group", "aria-label": "Zoom" });
  const notes = h("p", { class: "sl-caption" });
  const small = h("p", { class: "sl-caption sl-small" });
  const element = h("div", { class: "sl-heatmap" }, stage, h("div", { class: "sl-under" }, h("div", null, notes, small), zooms));
  const canvases = { whole: document.createElement("canvas"), tile: document.createElement("canvas") };
  /** @type {import("./layout.js").HeatmapGeometry | null} */
  let g = null;
  /** @type {import("./layout.js").View | null} */
  let view = null;
  let shape = "";
  let width = 320;
  /** @type {{x: number, y: number, view: any, moved: boolean} | null} */
  let drag = null;
  let pinch = 0;
  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();

  const counts = () => /** @type {[number, number]} */ ([app.matrix?.nQuery ?? 0, app.matrix?.nKey ?? 0]);

  /** @param {MouseEvent} event */
  const under = (event) => {
    const box = base.getBoundingClientRect();
    return g && view ? cellAt(g, view, event.clientX - box.left, event.clientY - box.top, ...counts()) : null;
  };

  /** @param {number} factor @param {{query: number, key: number} | null} [about] */
  function zoomBy(factor, about = null) {
    if (!view) return;
    const at = active(app.selection);
    const middle = { query: view.q0 + view.q / 2, key: view.k0 + view.k / 2 };
    const centre = about ?? { query: at?.query != null ? at.query + 0.5 : middle.query, key: at?.key != null ? at.key + 0.5 : middle.key };
    setView(zoom(view, factor, centre, ...counts()));
  }

  /** @param {import("./layout.js").View} next */
  function setView(next) {
    view = next;
    paint();
    cross();
  }

  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ press) => h("button", { type: "button", "aria-label": label, title: label, onclick: press }, text);
  const reset = button("whole", "Show the whole matrix (key 0)", () => setView(wholeView(...counts())));
  zooms.append(button("−", "Zoom out (key −)", () => zoomBy(0.5)), button("+", "Zoom in (key +)", () => zoomBy(2)), reset);

  stage.onpointerdown = (event) => {
    fingers.set(event.pointerId, event);
    if (event.button === 0 && view) drag = { x: event.clientX, y: event.clientY, view, moved: false };
  };
  stage.onpointermove = (event) => {
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    if (fingers.size === 2 && view && g) {
      const [a, b] = [...fingers.values()];
      const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (pinch) zoomBy(apart / pinch, /** @type {any} */ (under(a)) ?? null);
      pinch = apart;
      if (drag) drag.moved = true;
      return;
    }
    if (drag && g && view && !isWhole(view, ...counts())) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (drag.moved || Math.hypot(dx, dy) > 4) {
        if (!drag.moved) stage.setPointerCapture(event.pointerId);
        drag.moved = true;
        setView(pan(drag.view, (-dy / g.plot.h) * view.q, (-dx / g.plot.w) * view.k, ...counts()));
        return;
      }
    }
    const at = under(event);
    app.dispatch(at ? { type: "hover", ...at } : { type: "leave" });
  };
  stage.onpointerup = stage.onpointercancel = (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = 0;
  };
  stage.onpointerleave = (event) => {
    if (event.pointerType === "mouse") fingers.delete(event.pointerId);
    app.dispatch({ type: "leave" });
  };
  stage.onclick = (event) => {
    const moved = drag?.moved;
    drag = null;
    const at = moved ? null : under(event);
    if (at) app.dispatch({ type: "pin", ...at });
  };
  stage.onwheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const at = under(event);
    zoomBy(Math.exp(-event.deltaY / 200), at && at.query !== null && at.key !== null ? { query: at.query + 0.5, key: at.key + 0.5 } : null);
  };
  stage.onblur = () => app.dispatch({ type: "leave" });
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [nQuery, nKey] = counts();
    const far = event.shiftKey ? 10 : 1;
    const steps = /** @type {Record<string, any>} */ ({
      ArrowUp: { dq: -far, dk: 0 }, ArrowDown: { dq: far, dk: 0 }, ArrowLeft: { dq: 0, dk: -far }, ArrowRight: { dq: 0, dk: far },
    });
    const mark = active(app.selection);
    if (steps[event.key]) app.dispatch({ type: "step", ...steps[event.key], nQuery, nKey });
    else if (event.key === "Home" || event.key === "End") app.dispatch({ type: "jump", to: event.key === "Home" ? "row start" : "row end", nQuery, nKey });
    else if (event.key === "PageUp" || event.key === "PageDown") app.dispatch({ type: "jump", to: event.key === "PageUp" ? "start" : "end", nQuery, nKey });
    else if (event.key === "Enter" && mark) app.dispatch({ type: "pin", ...mark });
    else if (event.key === "q" && mark?.query != null) app.dispatch({ type: "pin", query: mark.query });
    else if (event.key === "k" && mark?.key != null) app.dispatch({ type: "pin", key: mark.key });
    else return;
    event.preventDefault();
    const to = active(app.selection);
    if (to && view && !isWhole(view, nQuery, nKey)) {
      const next = reveal(view, to, nQuery, nKey);
      if (next !== view) setView(next);
    }
  };

  /** Cells, labels, axis titles. @param {boolean} [measure]  the container may have another width now */
  function paint(measure = false) {
    const { matrix, theme, overview, options } = app;
    if (!matrix || !overview) return;
    const queries = app.queries.map((token) => token.t);
    const keys = app.keys.map((token) => token.t);
    const [nQuery, nKey] = counts();
    if (shape !== `${nQuery}x${nKey}` || !view) {
      view = wholeView(nQuery, nKey);
      shape = `${nQuery}x${nKey}`;
    }
    if (measure || !g) width = stage.clientWidth || 320;
    const ruler = /** @type {CanvasRenderingContext2D} */ (canvases.tile.getContext("2d"));
    ruler.font = font(theme);
    g = heatmapGeometry({
      width,
      maxHeight: Math.max(app.heatmapHeight(), 200),
      nQuery,
      nKey,
      queryLabel: widest(ruler, queries),
      keyLabel: widest(ruler, keys),
      keyTail: widest(ruler, keys.slice(-Math.ceil(nKey / 12))),
      size: theme.size,
    });
    const ctx = context(base, g.width, g.height);
    const { plot } = g;
    const top = options.per_head_scale ? matrix.peak || 1 : 1;
    const table = lookup(theme, top);
    if (app.masks || matrix.codes.includes(matrix.kind.masked)) hatch(ctx, theme, plot.x, plot.y, plot.w, plot.h);
    const block = drawCells(ctx, matrix, view, plot, table, canvases.whole);
    for (const tile of matrix.tiles.values()) drawTile(ctx, app, tile, view, plot, table, canvases.tile);
    drawGrid(ctx, app, view, plot);
    drawNumbers(ctx, app, view, plot, top);
    ctx.strokeStyle = css(theme.line);
    ctx.lineWidth = 1;
    ctx.strokeRect(plot.x - 0.5, plot.y - 0.5, plot.w + 1, plot.h + 1);
    drawLabels(ctx, app, view, g, queries, keys);
    mark(stage, "aria-label", `Weights of ${overview.title(app.selection.layer, app.selection.head)}: ${nQuery} queries down, ${nKey} keys across. Arrow keys move the cell, Enter pins it, Escape releases.`);
    say(notes, [caption({ head: app.selection.head, rowsum: matrix.meta?.rowsum ?? null, ...app.hiding() }), ...overview.note].join(" · "));
    say(small, fineprint(app, view, block));
    reset.hidden = isWhole(view, nQuery, nKey);
    mark(stage, "data-zoomed", !reset.hidden);
    wantTiles(app, view, plot, paintLater);
  }

  let waiting = false;
  function paintLater() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
      cross();
    });
  }

  /** The crosshair: the row in the query's colour, the column in the key's, the cell framed; the pin dashed. */
  function cross() {
    if (!g || !view || !app.matrix) return;
    const { selection } = app;
    const ctx = context(over, g.width, g.height);
    const now = active(selection);
    if (selection.pin && selection.pin !== now) frame(ctx, app, g, view, selection.pin, true);
    if (now) frame(ctx, app, g, view, now, now === selection.pin);
    if (now) drawMarkedLabels(ctx, app, view, g, now);
  }

  /** @param {number} level */
  function draw(level) {
    if (!app.matrix) return;
    if (level >= 2) paint(level >= 3);
    cross();
  }

  return {
    element,
    draw,
    focus: () => stage.focus(),
    key(/** @type {string} */ key) {
      if (key === "+" || key === "=") zoomBy(2);
      else if (key === "-") zoomBy(0.5);
      else if (key === "0") setView(wholeView(...counts()));
      else return false;
      return true;
    },
  };
}

/** @param {CanvasRenderingContext2D} ctx @param {import("./matrix.js").Matrix} matrix @param {import("./layout.js").View} view @param {import("./layout.js").Box} plot @param {Uint32Array} table @param {HTMLCanvasElement} scratch */
function drawCells(ctx, matrix, view, plot, table, scratch) {
  const ratio = window.devicePixelRatio || 1;
  const r0 = Math.max(Math.floor(view.q0 / matrix.blockQ), 0);
  const c0 = Math.max(Math.floor(view.k0 / matrix.blockK), 0);
  const r1 = Math.min(Math.ceil((view.q0 + view.q) / matrix.blockQ), matrix.rows);
  const c1 = Math.min(Math.ceil((view.k0 + view.k) / matrix.blockK), matrix.cols);
  const blockR = Math.max(Math.ceil((r1 - r0) / (plot.h * ratio)), 1);
  const blockC = Math.max(Math.ceil((c1 - c0) / (plot.w * ratio)), 1);
  const part = blockMax(matrix.codes, matrix.rows, matrix.cols, blockR, blockC, { r0, c0, r1, c1 });
  picture(part.codes, part.rows, part.cols, table, scratch);
  const cellH = (plot.h / view.q) * matrix.blockQ;
  const cellW = (plot.w / view.k) * matrix.blockK;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  const x = plot.x + (c0 * matrix.blockK - view.k0) * (plot.w / view.k);
  const y = plot.y + (r0 * matrix.blockQ - view.q0) * (plot.h / view.q);
  ctx.drawImage(scratch, x, y, part.cols * blockC * cellW, part.rows * blockR * cellH);
  ctx.restore();
  return { q: matrix.blockQ * blockR, k: matrix.blockK * blockC };
}

/** @param {CanvasRenderingContext2D} ctx @param {App} app @param {{codes: Uint16Array, rows: number, cols: number, row0: number, col0: number}} tile @param {import("./layout.js").View} view @param {import("./layout.js").Box} plot @param {Uint32Array} table @param {HTMLCanvasElement} scratch */
function drawTile(ctx, app, tile, view, plot, table, scratch) {
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (w * (window.devicePixelRatio || 1) < 1) return;
  const x = plot.x + (tile.col0 - view.k0) * w;
  const y = plot.y + (tile.row0 - view.q0) * tall;
  if (x > plot.x + plot.w || y > plot.y + plot.h || x + tile.cols * w < plot.x || y + tile.rows * tall < plot.y) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x, plot.y, plot.w, plot.h);
  ctx.clip();
  if (tile.codes.includes(U2.masked)) hatch(ctx, app.theme, x, y, tile.cols * w, tile.rows * tall);
  else {
    ctx.fillStyle = css(app.theme.paper);
    ctx.fillRect(x, y, tile.cols * w, tile.rows * tall);
  }
  ctx.drawImage(picture(tile.codes, tile.rows, tile.cols, table, scratch), x, y, tile.cols * w, tile.rows * tall);
  ctx.restore();
}

/** @param {App} app @param {import("./layout.js").View} view @param {import("./layout.js").Box} plot @param {() => void} done */
function wantTiles(app, view, plot, done) {
  const { matrix, selection, source } = app;
  if (!matrix || !source || matrix.single || (plot.w / view.k) * (window.devicePixelRatio || 1) < 1) return;
  const { layer, head } = selection;
  for (const { row0, col0 } of tilesOf(view, matrix.nQuery, matrix.nKey)) {
    const name = `${row0}/${col0}`;
    if (matrix.tiles.has(name) || matrix.wanted.has(name)) continue;
    matrix.wanted.add(name);
    source.tile(layer, head, row0, col0).then((pack) => {
      if (!pack) return;
      const { data, shape } = pack.arrays.picture;
      matrix.tiles.set(name, { codes: /** @type {Uint16Array} */ (data), rows: shape[0], cols: shape[1], row0, col0 });
      if (app.matrix === matrix) done();
    }).catch(() => matrix.wanted.delete(name));
  }
}

/** Thin paper-coloured lines between cells that are large enough. @param {CanvasRenderingContext2D} ctx @param {App} app @param {import("./layout.js").View} view @param {import("./layout.js").Box} plot */
function drawGrid(ctx, app, view, plot) {
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (Math.min(w, tall) < 9) return;
  ctx.strokeStyle = css(app.theme.panel);
  ctx.lineWidth = Math.min(w, tall) > 18 ? 1.5 : 1;
  ctx.beginPath();
  for (let k = Math.ceil(view.k0); k <= view.k0 + view.k; k++) {
    const x = plot.x + (k - view.k0) * w;
    ctx.moveTo(x, plot.y);
    ctx.lineTo(x, plot.y + plot.h);
  }
  for (let q = Math.ceil(view.q0); q <= view.q0 + view.q; q++) {
    const y = plot.y + (q - view.q0) * tall;
    ctx.moveTo(plot.x, y);
    ctx.lineTo(plot.x + plot.w, y);
  }
  ctx.stroke();
}

/** Two decimals in cells that have room; the sign of NaN in those that hold none. @param {CanvasRenderingContext2D} ctx @param {App} app @param {import("./layout.js").View} view @param {import("./layout.js").Box} plot @param {number} top */
function drawNumbers(ctx, app, view, plot, top) {
  const { theme } = app;
  const matrix = /** @type {import("./matrix.js").Matrix} */ (app.matrix);
  const w = plot.w / view.k;
  const tall = plot.h / view.q;
  if (Math.min(w, tall) < 10 || (!matrix.single && !matrix.tiles.size)) return;
  const numbers = w >= theme.size * 2.7 && tall >= theme.size * 1.4;
  ctx.font = font(theme);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const lastQ = Math.min(Math.ceil(view.q0 + view.q), matrix.nQuery);
  const lastK = Math.min(Math.ceil(view.k0 + view.k), matrix.nKey);
  for (let q = Math.floor(view.q0); q < lastQ; q++) {
    for (let k = Math.floor(view.k0); k < lastK; k++) {
      const { weight, bound } = matrix.at(q, k);
      if (weight === MASKED || bound) continue;
      const box = cellBox(plot, view, q, k);
      if (box.x < plot.x - 1 || box.y < plot.y - 1 || box.x + w > plot.x + plot.w + 1 || box.y + tall > plot.y + plot.h + 1) continue;
      if (weight !== weight) {
        ctx.strokeStyle = css(textOn(theme.nan));
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        ctx.moveTo(box.x + w * 0.3, box.y + tall * 0.3);
        ctx.lineTo(box.x + w * 0.7, box.y + tall * 0.7);
        ctx.moveTo(box.x + w * 0.7, box.y + tall * 0.3);
        ctx.lineTo(box.x + w * 0.3, box.y + tall * 0.7);
        ctx.stroke();
      } else if (numbers) {
        ctx.fillStyle = css(textOn(rampAt(theme.ramp, weight / top)));
        ctx.fillText(weight.toFixed(2), box.x + w / 2, box.y + tall / 2);
      }
    }
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {App} app @param {import("./layout.js").View} view @param {import("./layout.js").HeatmapGeometry} g @param {string[]} queries @param {string[]} keys */
function drawLabels(ctx, app, view, g, queries, keys) {
  const { theme } = app;
  const { plot } = g;
  const tall = plot.h / view.q;
  const w = plot.w / view.k;
  ctx.textBaseline = "middle";
  ctx.fillStyle = css(theme.ink2);
  // Labels are dropped rather than made small: 12 px for 14 is the only step down.
  const small = 12 / 14;
  const rowStep = thin(tall, theme.size * small);
  ctx.font = font(theme, tall * rowStep >= theme.size ? 1 : small);
  ctx.textAlign = "right";
  for (let q = Math.ceil(view.q0 / rowStep - 0.001) * rowStep; q < Math.min(view.q0 + view.q, queries.length); q += rowStep) {
    const y = plot.y + (q + 0.5 - view.q0) * tall;
    if (y < plot.y || y > plot.y + plot.h) continue;
    ctx.fillText(fit(ctx, numbered(q, queries[q], rowStep), g.labelW - 8), plot.x - 6, y);
  }
  const columnStep = thin(w, theme.size * small);
  ctx.font = font(theme, w * columnStep >= theme.size * 1.15 ? 1 : small);
  ctx.textAlign = "left";
  for (let k = Math.ceil(view.k0 / columnStep - 0.001) * columnStep; k < Math.min(view.k0 + view.k, keys.length); k += columnStep) {
    slanted(ctx, fit(ctx, numbered(k, keys[k], columnStep), (g.labelH - 6) / Math.sin(g.slant)), plot.x + (k + 0.5 - view.k0) * w, plot.y - 5, g);
  }
  ctx.font = font(theme, 1, "ui", 600);
  ctx.fillStyle = css(theme.key);
  ctx.textAlign = "left";
  ctx.fillText(fit(ctx, "key (is looked at) →", g.width - plot.x), plot.x, theme.size * 0.75);
  ctx.fillStyle = css(theme.query);
  ctx.save();
  ctx.translate(theme.size * 0.75, plot.y);
  ctx.rotate(-Math.PI / 2);
  ctx.textAlign = "right";
  ctx.fillText(fit(ctx, "← query (looks)", g.height), 0, 0);
  ctx.restore();
}

/** Where most labels are left out, the others say which token they are. @param {number} at @param {string} label @param {number} step */
function numbered(at, label, step) {
  return step >= 5 ? `${at} ${label}` : label;
}

/** @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} x @param {number} y @param {import("./layout.js").HeatmapGeometry} g */
function slanted(ctx, text, x, y, g) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(-g.slant);
  ctx.fillText(text, 0, 0);
  ctx.restore();
}

/** @param {CanvasRenderingContext2D} ctx @param {App} app @param {import("./layout.js").HeatmapGeometry} g @param {import("./layout.js").View} view @param {import("./selection.js").Mark} mark @param {boolean} pinned */
function frame(ctx, app, g, view, mark, pinned) {
  const { theme } = app;
  const { plot } = g;
  const { x, y, w, h: tall } = cellBox(plot, view, mark.query ?? 0, mark.key ?? 0);
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.x - 2, plot.y - 2, plot.w + 4, plot.h + 4);
  ctx.clip();
  ctx.lineWidth = 2;
  // A row too thin to be framed gets one hairline, so that the mark does not cover its neighbours.
  if (mark.query !== null) {
    ctx.fillStyle = ctx.strokeStyle = css(theme.query);
    if (tall >= 6) ctx.strokeRect(plot.x, y, plot.w, tall);
    else ctx.fillRect(plot.x, y + tall / 2 - 0.75, plot.w, 1.5);
  }
  if (mark.key !== null) {
    ctx.fillStyle = ctx.strokeStyle = css(theme.key);
    if (w >= 6) ctx.strokeRect(x, plot.y, w, plot.h);
    else ctx.fillRect(x + w / 2 - 0.75, plot.y, 1.5, plot.h);
  }
  if (mark.query !== null && mark.key !== null) {
    ctx.strokeStyle = css(theme.ink);
    ctx.lineWidth = 2.5;
    const [bw, bh] = [Math.max(w + 2, 10), Math.max(tall + 2, 10)];
    ctx.clearRect(x + w / 2 - bw / 2, y + tall / 2 - bh / 2, bw, bh);
    ctx.strokeRect(x + w / 2 - bw / 2, y + tall / 2 - bh / 2, bw, bh);
  }
  ctx.restore();
  if (pinned) {
    ctx.fillStyle = css(theme.query);
    ctx.beginPath();
    if (mark.query !== null) ctx.arc(plot.x + plot.w + 6, y + tall / 2, 3.5, 0, 7);
    ctx.fill();
    ctx.fillStyle = css(theme.key);
    ctx.beginPath();
    if (mark.key !== null && mark.query === null) ctx.arc(x + w / 2, plot.y + plot.h + 2, 3.5, 0, 7);
    ctx.fill();
  }
}

/** The labels of the marked row and column, whole and in their colours, whatever was thinned out. @param {CanvasRenderingContext2D} ctx @param {App} app @param {import("./layout.js").View} view @param {import("./layout.js").HeatmapGeometry} g @param {import("./selection.js").Mark} mark */
function drawMarkedLabels(ctx, app, view, g, mark) {
  const { theme } = app;
  const { plot } = g;
  ctx.textBaseline = "middle";
  ctx.font = font(theme, 1, "mono", 700);
  if (mark.query !== null) {
    const box = cellBox(plot, view, mark.query, 0);
    const y = Math.min(Math.max(box.y + box.h / 2, plot.y), plot.y + plot.h);
    const text = fit(ctx, app.queries[mark.query]?.t ?? "", g.labelW - 4);
    ctx.fillStyle = css(theme.paper);
    ctx.fillRect(plot.x - g.labelW - 2, y - theme.size * 0.7, g.labelW, theme.size * 1.4);
    ctx.textAlign = "right";
    ctx.fillStyle = css(theme.query);
    ctx.fillText(text, plot.x - 6, y);
  }
  if (mark.key !== null) {
    const box = cellBox(plot, view, 0, mark.key);
    const x = Math.min(Math.max(box.x + box.w / 2, plot.x), plot.x + plot.w);
    const room = (g.labelH - 6) / Math.sin(g.slant);
    const text = fit(ctx, app.keys[mark.key]?.t ?? "", room);
    ctx.save();
    ctx.translate(x, plot.y - 5);
    ctx.rotate(-g.slant);
    ctx.fillStyle = css(theme.paper);
    ctx.fillRect(-1, -theme.size * 0.62, Math.max(ctx.measureText(text).width, theme.size * 4) + 4, theme.size * 1.24);
    ctx.textAlign = "left";
    ctx.fillStyle = css(theme.key);
    ctx.fillText(text, 0, 0);
    ctx.restore();
  }
}

/** What is not exact about the picture. @param {App} app @param {import("./layout.js").View} view @param {{q: number, k: number}} block */
function fineprint(app, view, block) {
  const matrix = /** @type {import("./matrix.js").Matrix} */ (app.matrix);
  const parts = [];
  if (matrix.quality === "overview") parts.push(app.source ? "overview; the head’s own numbers are on their way" : "overview");
  const covered = matrix.tiles.size > 0 && tilesOf(view, matrix.nQuery, matrix.nKey).every(({ row0, col0 }) => matrix.tiles.has(`${row0}/${col0}`));
  if ((block.q > 1 || block.k > 1) && !covered) parts.push(`each pixel is the largest of ${block.q} × ${block.k} cells; zoom in for single cells`);
  if (!isWhole(view, matrix.nQuery, matrix.nKey)) {
    const [q, k] = [Math.floor(view.q0), Math.floor(view.k0)];
    parts.push(`queries ${count(q)}–${count(Math.min(Math.ceil(view.q0 + view.q), matrix.nQuery) - 1)}, keys ${count(k)}–${count(Math.min(Math.ceil(view.k0 + view.k), matrix.nKey) - 1)}`);
  }
  if (app.options.per_head_scale) parts.push("colours scaled to this head’s own maximum");
  return parts.join(" · ");
}
