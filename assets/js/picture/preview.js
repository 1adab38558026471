/**
 * What goes with the atlas: the enlarged head with its numbers, and what the colours mean.
 *
 * @typedef {import("../explore/app.js").App} App
 */
import { h, say } from "../base/dom.js";
import { placeOf } from "./grid.js";
import { peakOf } from "./matrix.js";
import { context, hatch, picture } from "../base/paint.js";
import { lookup } from "../base/scale.js";
import { thumbnail } from "./thumbnail.js";
import { codesOf, weight } from "../base/wire.js";
import { caption } from "../base/words.js";

/** The enlarged head. @param {App} app */
export function createPreview(app) {
  const canvas = h("canvas", { role: "img", "aria-label": "Enlarged picture of the head" });
  const title = h("strong", null);
  const facts = h("dl", null);
  const rows = ["spread", "reach", "peak"].map((name) => {
    const value = h("dd", null);
    facts.append(h("dt", null, name), value);
    return value;
  });
  const hint = h("p", { class: "sl-second" });
  const looks = h("p", { class: "sl-second" });
  const brackets = h("p", { class: "sl-second" });
  const element = h(
    "div",
    { class: "sl-preview", "data-testid": "sl-preview" },
    canvas,
    h("div", null, title, facts, looks, brackets, hint),
  );
  const scratch = document.createElement("canvas");
  let side = 184;

  /** @param {boolean} [measure]  the column may have another width now (asking the browser costs a layout) */
  function draw(measure = false) {
    const { overview, theme, options, selection } = app;
    if (!overview) return;
    if (measure) side = Math.min(Math.round(theme.size * 15), Math.max(element.clientWidth - 200, 184));
    const { layer, head } = app.peek ?? selection;
    const found = overview.picture(layer, head);
    if (!found) return;
    const ctx = context(canvas, side, side);
    const top = options.per_head_scale ? peakOf(found.codes) || 1 : 1;
    const cell = side / Math.max(found.nQuery, found.nKey);
    const w = cell * found.nKey;
    const tall = cell * found.nQuery;
    ctx.save();
    if (w >= 40 && tall >= 40) ctx.scale(w / side, tall / side);
    thumbnail(ctx, found, { x: 0, y: 0, side }, { theme, table: lookup(theme, top), scratch });
    ctx.restore();
    say(title, overview.title(layer, head));
    const known = layer === selection.layer && head === selection.head && head !== "max" ? app.matrix?.meta : null;
    const summary = overview.summary(layer, head);
    const [entropy, reach, peak] = [
      summary.entropy ?? known?.entropy ?? null,
      summary.reach ?? known?.reach ?? null,
      summary.peak,
    ];
    const most = Math.log2(found.nKey);
    say(rows[0], entropy === null ? "–" : `${entropy.toFixed(2)} of ${most.toFixed(2)} bits`);
    say(rows[1], reach === null ? "–" : `${reach.toFixed(2)} tokens`);
    say(rows[2], peakText(overview, found, layer, peak));
    say(looks, caption({ head, free: overview.freeSums, ...app.hiding() }));
    const coarse = found.rows < found.nQuery || found.cols < found.nKey;
    say(hint, coarse ? "Overview: each pixel is the largest weight of its block." : "");
    const group = overview.groups[placeOf(overview.groups, layer, head)?.group ?? 0];
    say(
      brackets,
      group.nKvHeads < group.nHeads ? `Bracket: ${group.nHeads / group.nKvHeads} heads share one key/value head.` : "",
    );
  }

  return { element, draw };
}

/**
 * @param {import("./overview.js").Overview} overview
 * @param {import("./overview.js").Picture} found
 * @param {number | string} layer
 * @param {number | null} peak
 */
function peakText(overview, found, layer, peak) {
  const { codes, rows, cols, nQuery, nKey } = found;
  const kind = codesOf(codes);
  let at = -1;
  for (let i = 0; i < codes.length; i++) if (codes[i] <= kind.top && (at < 0 || codes[i] > codes[at])) at = i;
  if (at < 0) return "–";
  const value = (peak ?? weight(codes[at], kind)).toFixed(4);
  if (rows !== nQuery || cols !== nKey) return value;
  return `${value}: ${overview.queries(layer)[Math.floor(at / cols)].t} → ${overview.keys(layer)[at % cols].t}`;
}

/** What the colours mean. @param {App} app */
export function createLegend(app) {
  const bar = h("canvas", { "aria-hidden": "true" });
  const ends = [h("span", null, "0"), h("span", null, "1")];
  const words = h("span", null, "");
  const swatch = h("canvas", { "aria-hidden": "true" });
  const element = h(
    "div",
    { class: "sl-legend" },
    ends[0],
    bar,
    ends[1],
    words,
    h("span", { class: "sl-swatch" }, swatch, "masked"),
  );

  function draw() {
    const { theme, options } = app;
    const ctx = context(bar, 90, 10);
    const table = lookup(theme);
    const codes = Uint8Array.from({ length: 180 }, (_, i) => Math.round((i / 179) * 253));
    ctx.drawImage(picture(codes, 1, 180, table), 0, 0, 90, 10);
    say(ends[1], options.per_head_scale ? "max" : "1");
    say(
      words,
      options.per_head_scale
        ? "each head scaled to its own maximum"
        : app.options.by_norm
          ? "share of ‖a·v·W_O‖"
          : "weight",
    );
    const patch = context(swatch, 14, 10);
    hatch(patch, theme, 0, 0, 14, 10, 4);
    /** @type {HTMLElement} */ (element.lastChild).hidden = !app.masks;
  }

  return { element, draw };
}
