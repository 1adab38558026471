/**
 * Across layers: which input tokens a token of the last layer draws on, by rollout or by flow.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 * @typedef {import("./data.js").Word} Word
 * @typedef {import("../base/wire.js").Buffer<Float32Array>} Drawn  [layer, input token]
 */
import { h, mark, say } from "../base/dom.js";
import { number } from "./data.js";
import { createTokens } from "./tokens.js";
import { context, font } from "../base/paint.js";
import { css, rampAt, textOn } from "../base/scale.js";
import { strongestOf } from "../picture/matrix.js";
import { LostError } from "../base/source.js";
import { count, quoted } from "../base/words.js";

const BARS = 8;
const WAYS = /** @type {const} */ ([
  ["rollout", "Rollout"],
  ["flow", "Flow"],
]);
const SAYS = {
  rollout:
    "Rollout multiplies the layers’ weights from the last to the first, each mixed half and half with the " +
    "residual connection (Abnar & Zuidema 2020).",
  flow:
    "Flow asks how much could pass from each input token at most, through the network of weights and " +
    "residual connections (Abnar & Zuidema 2020); the numbers need not sum to 1.",
};
const WARNING =
  "Both follow weights alone, not values or feed-forward layers: a summary of where attention points, not of causes.";

/** @param {HeadsView} app */
export function createAcross(app) {
  let way = /** @type {"rollout" | "flow"} */ ("rollout");
  let how = "mean";
  let stack = 0;
  let loaded = "";
  /** @type {Drawn | null} */
  let drawn = null;
  let failed = "";
  let flowLimit = Infinity;
  let lastOnly = false;
  const buttons = WAYS.map(([name, title]) =>
    h(
      "button",
      {
        type: "button",
        "data-way": name,
        onclick: () => {
          way = name;
          draw();
        },
      },
      title,
    ),
  );
  const over = h(
    "select",
    {
      "aria-label": "Over the heads of a layer",
      onchange: () => {
        how = over.value;
        draw();
      },
    },
    h("option", { value: "mean" }, "mean over heads"),
    h("option", { value: "max" }, "maximum over heads"),
  );
  const which = h("select", {
    "aria-label": "Which stack",
    onchange: () => {
      stack = which.selectedIndex;
      draw();
    },
  });
  const title = h("p", { class: "sl-across-title", "data-testid": "sl-across-title" });
  const tokens = createTokens(
    "Tokens; choose the one that is followed",
    (at) => app.follow(at, stacks()[stack].id),
    "sl-across-tokens",
  );
  const bars = h("ol", { class: "sl-bars sl-across-bars", "data-testid": "sl-across-bars" });
  const picture = createPicture(app);
  const scale = h("p", { class: "sl-second" });
  const says = h("p", { class: "sl-second sl-prose76" });
  const element = h(
    "section",
    { class: "sl-heads-wide sl-across", "aria-label": "Across layers", "data-testid": "sl-across" },
    h(
      "div",
      { class: "sl-head-row" },
      h("h2", null, "Across layers"),
      h(
        "span",
        { class: "sl-picks" },
        h("span", { class: "sl-modes", role: "group", "aria-label": "How the layers are followed" }, ...buttons),
        over,
        which,
      ),
    ),
    title,
    tokens.element,
    h("div", { class: "sl-across-two" }, h("div", null, h("h3", null, "Most drawn on"), bars), picture.element),
    scale,
    says,
  );
  let made = "";

  /** Groups whose layers read one another. */
  const stacks = () => app.heads.groups.filter(({ id }) => id.endsWith(":self"));

  /** The tokens of the chosen stack. @returns {Word[]} */
  const words = () => app.heads.tokens[app.heads.layers[stacks()[stack].layers[0]].queries] ?? [];

  function draw() {
    const all = stacks();
    element.hidden = !all.length;
    if (!all.length) return;
    stack = Math.min(stack, all.length - 1);
    which.hidden = all.length < 2;
    if (which.options.length !== all.length)
      which.replaceChildren(...all.map(({ title: text }) => h("option", null, text)));
    which.selectedIndex = stack;
    const shown = words();
    const query = app.followed(all[stack].id);
    if (shown.length > flowLimit && way === "flow") way = "rollout";
    buttons.forEach((button) => mark(button, "aria-pressed", String(button.dataset.way === way)));
    buttons[1].disabled = shown.length > flowLimit;
    buttons[1].title = buttons[1].disabled ? `Flow is computed for at most ${flowLimit} tokens` : "";
    const wanted = `${app.shownKey}|${stack}`;
    if (made !== wanted) {
      made = wanted;
      loaded = "";
      tokens.show(shown, query);
    }
    say(title, `What ${quoted(shown[query]?.t ?? "")} in the last layer draws on in the input`);
    say(says, `${SAYS[way]} ${WARNING}`);
    const name = `${app.shownKey}|${way}|${all[stack].all}|${query}|${how}`;
    if (loaded !== name) load(name, `heads/${way}/${all[stack].all}/${query}/${how}`);
    drawNumbers();
  }

  /** @param {string} name @param {string} path */
  async function load(name, path) {
    loaded = name;
    mark(element, "aria-busy", true);
    try {
      /** @type {import("./packs").AcrossPack | undefined} */
      const pack = await app.source?.pack(path);
      if (!pack || loaded !== name) return;
      const { meta, arrays } = pack;
      drawn = arrays.drawn;
      failed = "";
      if (meta.flow_limit) flowLimit = meta.flow_limit;
      lastOnly = Boolean(meta.last_only);
    } catch (error) {
      if (loaded !== name) return;
      if (error instanceof LostError) loaded = ""; // the next drawing asks again
      drawn = null;
      failed = /** @type {Error} */ (error).message;
    }
    mark(element, "aria-busy", false);
    drawNumbers();
  }

  function drawNumbers() {
    const { theme } = app;
    const shown = words();
    const query = app.followed(stacks()[stack].id);
    if (!drawn || drawn.shape[1] !== shown.length) {
      bars.replaceChildren();
      picture.element.hidden = true;
      say(scale, failed);
      for (const token of tokens.buttons) token.style.background = token.style.color = "";
      return;
    }
    const { data } = drawn;
    const [rows, columns] = drawn.shape;
    const last = data.slice((rows - 1) * columns, rows * columns);
    const top = way === "flow" ? 1 : Math.max(...last);
    tokens.buttons.forEach((token, i) => {
      const colour = rampAt(theme.ramp, last[i] / top);
      token.style.background = css(colour);
      token.style.color = css(textOn(colour));
      token.title = `${shown[i].t}: ${last[i].toFixed(4)}`;
      mark(token, "data-here", i === query ? "query" : null);
      mark(token, "aria-pressed", String(i === query));
      mark(token, "aria-label", `${shown[i].t}: ${last[i].toFixed(4)}${i === query ? ", followed" : ""}`);
    });
    const { top: best, rest } = strongestOf(last, BARS);
    bars.replaceChildren(...barsOf(best, shown));
    const others =
      rest.count > 0 && way === "rollout"
        ? ` The other ${count(rest.count)} tokens together: ${rest.weight.toFixed(4)}.`
        : "";
    say(
      scale,
      (way === "flow" ? "Shades: 0 to 1, fixed." : `Share of 1; shades from 0 to ${number(top)}, the largest here.`) +
        ` Bars: the longest is the largest.${others}` +
        (lastOnly && way === "rollout" ? " At this length only the last layer is kept." : ""),
    );
    picture.element.hidden = rows < 2;
    if (rows > 1) picture.draw(drawn, shown);
  }

  return { element, draw };
}

/**
 * The input tokens that are most drawn on, as bars.
 * @param {{index: number, weight: number}[]} best
 * @param {Word[]} shown
 */
function barsOf(best, shown) {
  const longest = best[0]?.weight || 1;
  return best
    .filter(({ weight }) => weight >= 0.00005)
    .map(({ index, weight }) => {
      const bar = h("span", { class: "sl-bar" });
      bar.style.width = `${(100 * weight) / longest}%`;
      return h(
        "li",
        null,
        h("bdi", { class: "sl-mono" }, shown[index].t),
        h("span", { class: "sl-lane" }, bar),
        h("span", { class: "sl-mono sl-number" }, weight.toFixed(4)),
      );
    });
}

/** What the followed token draws on after each layer. @param {HeadsView} app */
function createPicture(app) {
  const canvas = h("canvas", { role: "img" });
  const element = h("div", { class: "sl-across-picture" }, h("h3", null, "Layer by layer"), canvas);

  /** Rows are layers, the last one on top, as a stack is drawn. @param {Drawn} drawn @param {Word[]} shown */
  function draw({ data, shape: [rows, columns] }, shown) {
    const { theme } = app;
    const left = theme.size * 2.2;
    const width = element.clientWidth || 380;
    const cell = Math.min(Math.max((width - left - 4) / columns, 2), theme.size * 2.4);
    const tall = Math.min(Math.max(theme.size * 1.5, 150 / rows), theme.size * 1.9);
    const height = rows * tall + theme.size * 1.8;
    const ctx = context(canvas, Math.min(left + columns * cell + 2, width), height);
    let most = 0;
    for (let i = 0; i < rows * columns; i++) most = Math.max(most, data[i]);
    for (let r = 0; r < rows; r++) {
      const y = (rows - 1 - r) * tall;
      for (let c = 0; c < columns; c++) {
        ctx.fillStyle = css(rampAt(theme.ramp, data[r * columns + c] / most));
        ctx.fillRect(left + c * cell, y, Math.max(cell - (cell > 6 ? 1 : 0), 1), tall - 1);
      }
      ctx.font = font(theme, 1, "mono");
      ctx.fillStyle = css(theme.ink2);
      ctx.textAlign = "right";
      ctx.textBaseline = "middle";
      ctx.fillText(String(r), left - 7, y + tall / 2);
    }
    ctx.font = font(theme, 1, "ui");
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.fillText(
      `input tokens, ${shown[0].t} … ${shown[columns - 1].t}; shades 0 to ${number(most)}`,
      left,
      rows * tall + 4,
    );
    mark(
      canvas,
      "aria-label",
      `What the followed token draws on after each layer: ${rows} layers by ${columns} input tokens. The ` +
        "bars hold the last layer’s numbers.",
    );
  }

  return { element, draw };
}
