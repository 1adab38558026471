/**
 * The chosen head: what switching it off does, before and after beside each other, its control in words and as a line
 * of chance's own effects, and what it looked at.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 * @typedef {import("./told").Effected} Effected
 * @typedef {import("./told").Choice} Choice
 */
import { h, mark, say } from "../base/dom.js";
import { context } from "../base/paint.js";
import { lookup } from "../base/scale.js";
import { MASKED } from "../base/wire.js";
import { count, quoted } from "../base/words.js";
import { percent } from "../explore/says.js";
import { thumbnail } from "../picture/thumbnail.js";
import { chance, effect, role, short, unitOf } from "./words.js";

const LOOKED_AT = 3;

/** @param {ExperimentView} app */
export function createChosen(app) {
  const title = h("h2", { "data-testid": "sl-exp-title", tabindex: "-1" });
  const says = h("p", { class: "sl-exp-effect", "data-testid": "sl-exp-effect" });
  const control = h("p", { class: "sl-second", "data-testid": "sl-exp-control" });
  const line = h("div", { class: "sl-exp-null", "aria-hidden": "true" });
  const bars = h("div", { class: "sl-exp-bars", "data-testid": "sl-exp-bars" });
  const canvas = h("canvas", { role: "img" });
  const looked = h("p", { class: "sl-second", "data-testid": "sl-exp-looked" });
  const open = h(
    "a",
    {
      class: "sl-button",
      "data-testid": "sl-exp-open",
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || app.selected === null) return;
        event.preventDefault();
        app.open(app.selected);
      },
    },
    "Open in Explore",
  );
  const keep = h(
    "button",
    {
      type: "button",
      "data-testid": "sl-exp-keep",
      onclick: () => {
        if (app.selected === null || !app.heads) return;
        const { layer, head } = app.heads.places[app.selected];
        app.wish("keep", { layer, head, fill: app.fill });
      },
    },
    "Keep it switched off on every page",
  );
  const none = h("p", { class: "sl-empty" }, "Choose a head in the atlas: what switching it off does stands here.");
  const filled = h(
    "div",
    { class: "sl-hp-body" },
    h("div", null, title, says, line, control),
    bars,
    h("div", { class: "sl-hp-top" }, canvas, h("div", null, looked, keep, open)),
  );
  const element = h(
    "aside",
    { class: "sl-hp sl-exp-chosen", "aria-label": "The chosen head", "data-testid": "sl-exp-chosen" },
    none,
    filled,
  );
  const scratch = document.createElement("canvas");
  let shown = "";

  function draw() {
    const { heads, selected, one, toldOfOne } = app;
    none.hidden = selected !== null;
    filled.hidden = selected === null;
    if (selected === null || !heads) return;
    say(title, heads.titleOf(selected));
    open.href = app.address(selected);
    const x = one?.difference ?? (heads.effects[selected] === heads.effects[selected] ? heads.effects[selected] : null);
    const known = one !== null || x !== null;
    const question = one?.question ?? heads.question;
    const unit = one?.unit ?? heads.unit;
    const why = role(question, x);
    says.hidden = !known;
    say(
      says,
      known
        ? `Switched off, it ${effect(question, x, unit)}${one?.level == null ? "" : `; ${chance(one.level)}`}` +
            `${why ? `: ${why}` : ""}.`
        : "",
    );
    const working = toldOfOne?.state === "working";
    say(
      control,
      toldOfOne?.state === "failed" || toldOfOne?.state === "stopped"
        ? toldOfOne.says
        : one?.control
          ? one.control
          : working
            ? `${toldOfOne.says}${toldOfOne.total ? ` ${count(toldOfOne.done)} of ${count(toldOfOne.total)} runs` : ""}`
            : known
              ? "Not compared with chance of its own yet."
              : "Not switched off yet.",
    );
    drawNull(line, one);
    drawBars(bars, one);
    drawLooks();
  }

  function drawLooks() {
    const { overview, heads, selected, theme, sourceKey } = app;
    if (!heads || selected === null) return;
    const { layer, head } = heads.places[selected];
    const found = overview?.picture(layer, head);
    canvas.hidden = !found;
    if (!found || !overview) return;
    const side = Math.round(theme.size * 8);
    const ctx = context(canvas, side, side);
    thumbnail(ctx, found, { x: 0, y: 0, side }, { theme, table: lookup(theme), scratch });
    mark(canvas, "aria-label", `Small picture of ${heads.titleOf(selected)}`);
    const queries = overview.queries(layer);
    const at = queryOf(app, queries);
    const wanted = `${sourceKey}|${layer}|${head}|${at}`;
    if (shown === wanted) return;
    shown = wanted;
    say(looked, "…");
    app.source
      ?.line(layer, head, "query", at)
      .then(({ arrays }) => {
        if (shown !== wanted) return;
        const keys = overview.keys(layer);
        const best = [...arrays.weights.data]
          .map((weight, key) => ({ weight, key }))
          .filter(({ weight, key }) => weight === weight && weight !== MASKED && keys[key])
          .sort((a, b) => b.weight - a.weight)
          .slice(0, LOOKED_AT);
        const words = best.map(({ weight, key }) => `${quoted(keys[key].t)} ${weight.toFixed(2)}`);
        say(
          looked,
          `Unchanged, at ${quoted(queries[at].t)} (token ${queries[at].i}) it looked at ${words.join(", ")}.`,
        );
      })
      .catch(() => say(looked, ""));
  }

  return { element, draw };
}

/**
 * The token whose look is told: the one that is asked about, else the last; its place among those that are shown.
 * @param {ExperimentView} app @param {import("../picture/packs").Token[]} queries
 */
function queryOf(app, queries) {
  const { position, begin } = app.question ?? {};
  const token = typeof position === "number" ? position : typeof begin === "number" ? begin - 1 : null;
  const at = token === null ? -1 : queries.findIndex(({ p }) => p.includes(token));
  return at < 0 ? queries.length - 1 : at;
}

/** Chance's effects as ticks on a line, and the head's own. @param {HTMLElement} line @param {Effected | null} one */
function drawNull(line, one) {
  const draws = (one?.null ?? []).filter((x) => x !== null);
  line.hidden = !one || !draws.length || one.difference === null;
  if (line.hidden || !one || one.difference === null) return;
  const top = Math.max(Math.abs(one.difference), ...draws.map(Math.abs)) * 1.05 || 1;
  const at = (/** @type {number} */ x) => `${50 + (50 * x) / top}%`;
  const tick = (/** @type {number} */ x, /** @type {string} */ name) => {
    const mark_ = h("span", { class: name });
    mark_.style.insetInlineStart = at(x);
    return mark_;
  };
  const zero = tick(0, "sl-exp-zero");
  line.replaceChildren(
    zero,
    ...draws.map((x) => tick(x, "sl-exp-draw")),
    tick(one.difference, "sl-exp-own"),
    h("span", { class: "sl-exp-end" }, `−${short(top)}`),
    h("span", { class: "sl-exp-end" }, `| chance, ${draws.length} times · ● this head`),
    h("span", { class: "sl-exp-end" }, `+${short(top)}`),
  );
}

/** Before and after beside each other. @param {HTMLElement} bars @param {Effected | null} one */
function drawBars(bars, one) {
  bars.hidden = !one;
  if (!one) return;
  const words = one.top_before.length > 0;
  bars.replaceChildren(
    ...(words
      ? [column("Before it says", one.top_before), column("Then it says", one.top_after)]
      : [value("Before", one, one.before), value("Then", one, one.after)]),
  );
}

/** @param {string} title @param {Choice[]} choices */
function column(title, choices) {
  return h(
    "section",
    null,
    h("h3", null, title),
    h(
      "ol",
      { class: "sl-exp-choices" },
      ...choices.map(({ t, p }) => {
        const bar = h("span", { class: "sl-bar" });
        bar.style.width = `${100 * p}%`;
        return h(
          "li",
          null,
          h("bdi", { class: "sl-token" }, t),
          h("span", { class: "sl-track", "aria-hidden": "true" }, bar),
          h("span", { class: "sl-mono sl-number" }, percent(p)),
        );
      }),
    ),
  );
}

/**
 * A number alone: a log-probability as the probability that it is, too.
 * @param {string} title
 * @param {Effected} one
 * @param {number | null} x
 */
function value(title, one, x) {
  const isLog = String(one.question.question).startsWith("log-probability");
  const bar = h("span", { class: "sl-bar" });
  bar.style.width = `${100 * Math.min(Math.max(isLog ? Math.exp(x ?? -Infinity) : (x ?? 0), 0), 1)}%`;
  const says =
    x === null
      ? "no number"
      : isLog
        ? `${percent(Math.exp(x))} for each word, geometric mean (${short(x)} ${unitOf(one.unit)})`
        : `${short(x)} ${unitOf(one.unit)}`;
  return h(
    "section",
    null,
    h("h3", null, title),
    h("div", { class: "sl-track", "aria-hidden": "true" }, bar),
    h("p", { class: "sl-mono" }, says),
  );
}
