/**
 * One head: its label card in plain words, its numbers with what they mean, heads like it, a small picture.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { exchange, focusAt, focusedAt, focusedBy, h, mark, say } from "../base/dom.js";
import { aligned, number, share } from "./data.js";
import { context } from "../base/paint.js";
import { lookup } from "../base/scale.js";
import { thumbnail } from "../picture/thumbnail.js";
import { caption } from "../base/words.js";

/** @param {HeadsView} app */
export function createPanel(app) {
  const title = h("h2", { "data-testid": "sl-heads-title", tabindex: "-1" });
  const chip = h("span", { class: "sl-chip", "data-testid": "sl-heads-chip" });
  const card = createCard(app);
  const canvas = h("canvas", { role: "img" });
  const looks = h("p", { class: "sl-second" });
  const open = h(
    "a",
    {
      class: "sl-button sl-primary",
      "data-testid": "sl-heads-open",
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || app.selected === null) return;
        event.preventDefault();
        app.open(app.selected);
      },
    },
    "Open in Explore",
  );
  const like = createLike(app, title);
  const numbers = createNumbers(app);
  const none = h("p", { class: "sl-empty" }, "Choose a head: in the map, in the scatter or in the table.");
  const filled = h(
    "div",
    { class: "sl-hp-body" },
    h("div", { class: "sl-hp-title" }, title, chip),
    h("div", { class: "sl-hp-top" }, canvas, h("div", null, open, looks)),
    card.element,
    like.element,
    numbers.element,
  );
  const element = h(
    "aside",
    { class: "sl-hp", "aria-label": "The chosen head", "data-testid": "sl-heads-panel" },
    none,
    filled,
  );
  const scratch = document.createElement("canvas");

  function draw() {
    const { heads, selected } = app;
    none.hidden = selected !== null;
    filled.hidden = selected === null;
    if (selected === null) return;
    say(title, heads.titleOf(selected));
    const label = heads.label(selected);
    mark(chip, "data-label", label);
    chip.replaceChildren(
      ...(label
        ? [h("span", { class: "sl-letter", "aria-hidden": "true" }, app.letter(label)), heads.nameOfLabel(selected)]
        : [heads.cards ? heads.nameOfLabel(selected) : app.labelling ? "label: being tested …" : "no label"]),
    );
    open.href = app.address(selected);
    card.draw();
    drawPicture();
    like.draw();
    numbers.draw();
  }

  function drawPicture() {
    const { overview, heads, selected, theme } = app;
    const place = heads.places[/** @type {number} */ (selected)];
    const found = overview?.picture(place.layer, place.head);
    canvas.hidden = looks.hidden = !found;
    if (!found) return;
    const side = Math.round(theme.size * 9);
    const ctx = context(canvas, side, side);
    thumbnail(ctx, found, { x: 0, y: 0, side }, { theme, table: lookup(theme), scratch });
    mark(canvas, "aria-label", `Small picture of ${heads.titleOf(place.i)}`);
    const coarse = found.rows < found.nQuery || found.cols < found.nKey;
    const { hidden, renormalised, by_norm: byNorm } = app.data;
    say(
      looks,
      `${caption({ head: place.head, hidden, renormalised, free: overview?.freeSums })}.` +
        (byNorm ? " Shares of ‖a·v·W_O‖, not weights." : "") +
        (coarse ? " Each cell is the largest weight of its block." : ""),
    );
  }

  return { element, draw };
}

/**
 * Heads that behave like the chosen one.
 * @param {HeadsView} app
 * @param {HTMLElement} title has the focus while the next list is on its way
 */
function createLike(app, title) {
  const list = h("ol", { class: "sl-like", "data-testid": "sl-heads-like" });
  const says = h("span", null);
  const meaning = h("button", { type: "button", class: "sl-term", hidden: true }, "What is the number?");
  const element = h(
    "section",
    { class: "sl-card" },
    h("h3", null, "Heads like this one"),
    list,
    h("p", { class: "sl-second" }, says, " ", meaning),
  );
  /** Where the focus was in the list, while the title has it; -1: nowhere. */
  let held = -1;
  list.onclick = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) app.choose(Number(button.dataset.i), "panel");
  };

  function draw() {
    const { heads, alike, selected } = app;
    const ready = alike && alike.of === selected ? alike : null;
    const at = focusedAt(list);
    if (at >= 0 && !ready?.heads.length) {
      held = at;
      title.focus({ preventScroll: true });
    }
    list.hidden = !ready?.heads.length;
    say(says, ready ? ready.says : "…");
    meaning.hidden = !ready?.how;
    if (ready?.how) app.frame.tip.on(meaning, "Distance", ready.how);
    if (!ready) return;
    exchange(
      list,
      ...ready.heads.map(({ i, distance }) =>
        h(
          "li",
          null,
          h(
            "button",
            { type: "button", "data-i": i, "aria-label": `${heads.titleOf(i)}, distance ${number(distance)}` },
            h("span", { class: "sl-mono sl-name" }, heads.places[i].name),
            h("span", { class: "sl-like-label" }, heads.label(i) ? (heads.cards?.[i]?.title ?? "") : ""),
            h("span", { class: "sl-mono sl-number" }, distance.toFixed(2)),
          ),
        ),
      ),
    );
    if (focusedBy(title) === title) focusAt(list, held);
    held = -1;
  }

  return { element, draw };
}

/** Every metric of the chosen head, as a bar and a number. @param {HeadsView} app */
function createNumbers(app) {
  const list = h("dl", { class: "sl-head-numbers" });
  const element = h("section", { class: "sl-card" }, h("h3", null, "On this text"), list);
  /** @type {{name: string, value: HTMLElement, fill: HTMLElement}[]} */
  let lines = [];
  let made = "";

  function draw() {
    const { heads, selected } = app;
    const i = /** @type {number} */ (selected);
    const metrics = heads.choices;
    const wanted = `${app.shownKey}|${heads.look?.title ?? ""}`;
    if (made !== wanted) {
      made = wanted;
      lines = metrics.map((metric) => {
        const value = h("span", { class: "sl-mono sl-number" });
        const bar = h("span", { class: "sl-bar" });
        const name = h("button", { type: "button", class: "sl-term" }, metric.title);
        app.frame.tip.on(
          name,
          metric.title,
          `${metric.definition} Range: ` +
            `${heads.range(metric.name).says}.${metric.source ? ` Source: ${metric.source}.` : ""}`,
        );
        list.append(h("dt", null, name), h("dd", null, h("span", { class: "sl-track" }, bar), value));
        return { name: metric.name, value, fill: bar };
      });
      list.replaceChildren(
        ...lines.flatMap(({ value }) => {
          const dd = /** @type {Element} */ (value.parentElement);
          return [/** @type {Element} */ (dd.previousElementSibling), dd];
        }),
      );
    }
    for (const { name, value, fill } of lines) {
      const range = heads.range(name);
      const x = heads.value(name, i);
      const unit = heads.metric(name)?.unit ?? "";
      say(value, x !== x ? "–" : `${aligned(x, range)}${/bits|tokens/.test(unit) ? ` ${unit}` : ""}`);
      const zero = share(range, Math.max(range.low, 0));
      const part = share(range, x);
      fill.style.marginInlineStart = `${100 * Math.min(zero, part === part ? part : zero)}%`;
      fill.style.width = part === part ? `${100 * Math.abs(part - zero)}%` : "0";
    }
  }

  return { element, draw };
}

/** The label in plain words, with what it rests on. @param {HeadsView} app */
function createCard(app) {
  const says = h("p", null);
  const facts = h("dl", { class: "sl-facts2" });
  const why = h("p", { class: "sl-second" });
  const evidence = h("details", { "data-testid": "sl-label-evidence" }, h("summary", null, "The evidence"), facts, why);
  const untested = h("p", { class: "sl-second" });
  const element = h(
    "section",
    { class: "sl-card sl-labelcard", "aria-label": "Label card", "data-testid": "sl-label-card" },
    says,
    evidence,
    untested,
  );

  function draw() {
    const card = app.heads.cards?.[/** @type {number} */ (app.selected)];
    element.hidden = !card;
    if (!card) return;
    mark(element, "data-label", card.label);
    mark(element, "data-answer", card.answer);
    say(says, card.says);
    evidence.hidden = !card.rows.length;
    untested.hidden = !card.untested;
    say(untested, card.untested);
    facts.replaceChildren(
      ...card.rows.flatMap(([name, value]) => [h("dt", null, name), h("dd", { class: "sl-mono" }, value)]),
    );
    say(why, card.why);
  }

  return { element, draw };
}
