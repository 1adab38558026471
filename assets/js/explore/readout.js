/**
 * The readout: what the marked cell holds, in a fixed place, as text; and the same for a screen reader once it rests.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, say, settle } from "../base/dom.js";
import { strongestOf } from "../picture/matrix.js";
import { active } from "../base/selection.js";
import { MASKED } from "../base/wire.js";
import { advice, quoted, weightText } from "../base/words.js";

/**
 * Does this picture have a q·k in its cells: one head, piece by piece, of a layer whose q and k are here? Nothing
 * promises one elsewhere.
 *
 * @param {Pick<App, "overview" | "selection" | "options">} app
 */
export function scored({ overview, selection, options }) {
  const { layer, head } = selection;
  const known = typeof layer === "number" && overview?.layerOf(layer)?.exact !== false;
  return known && typeof head === "number" && !options.words;
}

/** @param {App} app */
export function createReadout(app) {
  const query = h("bdi", { class: "sl-mono sl-query" });
  const arrow = h("span", { "aria-hidden": "true" });
  const key = h("bdi", { class: "sl-mono sl-key" });
  const value = h("span", { class: "sl-mono sl-value" });
  const more = h("span", { class: "sl-second" });
  const release = h(
    "button",
    { type: "button", class: "sl-plain", hidden: true, onclick: () => app.dispatch({ type: "release" }) },
    advice("release (Esc)", "release"),
  );
  const live = h("div", { class: "sl-quiet", "aria-live": "polite" });
  const element = h(
    "div",
    { class: "sl-readout" },
    h("div", { "data-testid": "sl-readout" }, query, arrow, key, value, more),
    release,
    live,
  );
  const announce = settle(350, () => say(live, spoken(app)));

  function draw() {
    const { matrix, selection } = app;
    if (!matrix) return;
    const now = active(selection);
    release.hidden = !selection.pin;
    const [q, k] = [now?.query ?? null, now?.key ?? null];
    say(query, q === null ? "" : (app.queries[q]?.t ?? ""));
    say(key, k === null ? "" : (app.keys[k]?.t ?? ""));
    say(arrow, q !== null || k !== null ? " → " : "");
    if (now === null) {
      say(value, "");
      const what = scored(app) ? "exact weight and q·k appear" : "exact weight appears";
      say(more, `${advice("Hover a cell, or use the arrow keys", "Tap a cell")}: its ${what} here.`);
    } else if (q !== null && k !== null) {
      const { weight, score, bound, exact } = matrix.at(q, k);
      say(
        value,
        weight === MASKED ? "" : bound && weight === weight ? ` ≤ ${weight.toFixed(4)}` : ` ${weightText(weight)}`,
      );
      const place = ` · query ${app.queries[q]?.i}, key ${app.keys[k]?.i}`;
      const dot = score === null ? (exact || app.inline || !scored(app) ? "" : "q·k …") : `q·k ${score.toFixed(3)}`;
      const says =
        weight === MASKED
          ? "masked: may not be read"
          : bound
            ? `largest of ${matrix.blockQ} × ${matrix.blockK} cells; exact value on its way`
            : dot;
      say(more, says ? ` ${says}${place}` : place);
    } else {
      const axis = q !== null ? "query" : "key";
      if (axis === "query") say(key, "…");
      else say(query, "…");
      const line = matrix.line(axis, /** @type {number} */ (q ?? k));
      const best = line ? strongestOf(line.weights, 1).top[0] : null;
      const name = best ? ((axis === "query" ? app.keys : app.queries)[best.index]?.t ?? "") : "";
      say(value, "");
      say(
        more,
        !line
          ? ""
          : !best
            ? " nothing may be read"
            : axis === "query"
              ? ` most: ${name} ${best.weight.toFixed(4)}`
              : ` looked at most by ${name} ${best.weight.toFixed(4)}`,
      );
    }
    announce();
  }

  return { element, draw };
}

/** "it looks at animal: 0.4312" @param {App} app */
export function spoken(app) {
  const now = active(app.selection);
  if (!now || !app.matrix) return "";
  const q = now.query === null ? null : (app.queries[now.query]?.t ?? "");
  const k = now.key === null ? null : (app.keys[now.key]?.t ?? "");
  if (now.query !== null && now.key !== null) {
    const { weight, bound } = app.matrix.at(now.query, now.key);
    if (weight === MASKED) return `${q} may not look at ${k}: masked`;
    return `${q} looks at ${k}: ${bound ? "at most " : ""}${weightText(weight)}`;
  }
  return now.query !== null ? `query ${quoted(/** @type {string} */ (q))}` : `key ${quoted(/** @type {string} */ (k))}`;
}
