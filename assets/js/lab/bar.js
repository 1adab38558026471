/**
 * The bar on top: presets, words and sizes, a real head, undo and redo, random, link and files.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { focusedBy, h, mark } from "../base/dom.js";
import { popover } from "../base/popover.js";
import { createReal } from "./real.js";
import { createSave } from "./save.js";
import { choice } from "./switches.js";

/** What was typed as words: separated by blanks. @param {string} text */
export function wordsOf(text) {
  return text.split(/\s+/u).filter((word) => word !== "");
}

/** @param {Lab} app */
export function createBar(app) {
  const presets = createPresets(app);
  const sizes = createSizes(app);
  const real = createReal(app);
  const undo = action("↶ Undo", "Undo (Ctrl+Z)", () => app.act({ do: "undo" }));
  const redo = action("↷ Redo", "Redo (Ctrl+Shift+Z)", () => app.act({ do: "redo" }));
  const reset = action("Reset", "Back to where this began; can be undone", () => app.act({ do: "reset" }));
  const seed = h("input", {
    type: "number",
    class: "lab-seed",
    min: 0,
    max: 9999,
    step: 1,
    value: 1,
    "aria-label": "Seed: the same seed gives the same numbers",
    title: "The same seed gives the same numbers",
    "data-testid": "lab-seed",
  });
  const seeded = () => Math.min(Math.max(Math.round(Number(seed.value)) || 0, 0), 9999);
  const random = action("Random", "All matrices drawn anew, from the seed beside", () =>
    app.act({ do: "random", seed: seeded() }),
  );
  const shuffle = action("Shuffle words", "The same words in another order", () =>
    app.act({ do: "shuffle", seed: Date.now() % 1000 }),
  );
  const link = action("Copy link", "The matrices are in the link", () => copy(app));
  const save = createSave(app);
  const large = action("Large type", "Large type, for a projector", () =>
    app.act({ do: "large", on: !app.data.large }),
  );
  const element = h(
    "div",
    { class: "lab-bar", role: "toolbar", "aria-label": "Lab" },
    presets.element,
    sizes.element,
    real.element,
    h("span", { class: "lab-group" }, undo, redo, reset),
    h("span", { class: "lab-group" }, random, seed),
    shuffle,
    h("span", { class: "lab-group lab-end" }, large, link, save.element),
  );
  return {
    element,
    draw() {
      undo.disabled = !app.data.can_undo;
      redo.disabled = !app.data.can_redo;
      mark(large, "aria-pressed", String(Boolean(app.data.large)));
      presets.draw();
      sizes.draw();
      real.draw();
      save.draw();
    },
  };
}

/** @param {string} words @param {string} title @param {() => void} run */
function action(words, title, run) {
  return h(
    "button",
    {
      type: "button",
      title,
      onclick: run,
      "data-testid": `lab-${words
        .replace(/[^a-z ]/gi, "")
        .trim()
        .split(" ")[0]
        .toLowerCase()}`,
    },
    words,
  );
}

/** @param {Lab} app */
async function copy(app) {
  const { link, link_note: note } = app.data;
  if (!link) return app.tell(note);
  const url = location.origin + location.pathname + link;
  try {
    await navigator.clipboard.writeText(url);
    app.tell("Link copied: it holds every number on this page.");
  } catch {
    app.tell(`Copy the address of this page: ${url}`);
  }
}

/** @param {Lab} app */
function createPresets(app) {
  const button = h(
    "button",
    { type: "button", class: "sl-primary", "aria-expanded": "false", "data-testid": "lab-presets" },
    "Presets",
  );
  const list = h("div", { class: "lab-gallery" });
  const panel = h("div", { class: "sl-pop lab-pop", hidden: true, role: "group", "aria-label": "Presets" }, list);
  const close = popover(button, panel, app.life.signal);
  let drawn = "";
  return {
    element: h("span", { class: "sl-anchor" }, button, panel),
    draw() {
      const { presets, preset } = app.data;
      const key = JSON.stringify(presets);
      if (key !== drawn) {
        drawn = key;
        list.replaceChildren(
          ...presets.map(({ name, title, teaches }) =>
            h(
              "button",
              {
                type: "button",
                "data-preset": name,
                onclick: () => {
                  app.act({ do: "preset", name });
                  close();
                },
              },
              h("b", null, title),
              h("span", { class: "sl-second" }, teaches),
            ),
          ),
        );
      }
      for (const one of list.children)
        mark(one, "aria-current", /** @type {HTMLElement} */ (one).dataset.preset === preset?.name);
    },
  };
}

/** Words, d_model, heads and d_k. @param {Lab} app */
function createSizes(app) {
  const button = h("button", { type: "button", "aria-expanded": "false", "data-testid": "lab-sizes" }, "Words & sizes");
  const words = h("input", {
    type: "text",
    class: "lab-words",
    "aria-label": "Words, separated by blanks",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 240,
    "data-testid": "lab-words",
  });
  const range = (/** @type {number} */ from, /** @type {number} */ to) =>
    Array.from({ length: to - from + 1 }, (_, i) => [String(from + i), String(from + i)]);
  /** @param {string} name */
  const shape = (name) => (/** @type {string} */ value) => app.act({ do: "shape", [name]: Number(value) });
  const model = choice("d_model", range(2, 16), shape("d_model"));
  const heads = choice("n_heads", range(1, 4), shape("n_heads"));
  const head = choice(
    "d_k",
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64].map((n) => [String(n), String(n)]),
    shape("d_head"),
  );
  const note = h(
    "p",
    { class: "sl-second" },
    "Three to eight words, separated by blanks. A word keeps its embedding when it moves.",
  );
  const moves = h("div", { class: "lab-moves" });
  const panel = h(
    "div",
    { class: "sl-pop lab-pop", hidden: true, role: "group", "aria-label": "Words and sizes" },
    h("label", { class: "lab-stack" }, "Words", words),
    note,
    moves,
    h("div", { class: "lab-row" }, model.element, heads.element, head.element),
  );
  popover(button, panel, app.life.signal);
  words.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      commit();
    }
  };
  words.onblur = commit;
  function commit() {
    const now = wordsOf(words.value);
    if (JSON.stringify(now) !== JSON.stringify(app.data.words)) app.act({ do: "words", words: now });
  }
  let drawn = "";
  return {
    element: h("span", { class: "sl-anchor" }, button, panel),
    draw() {
      const { words: now, d_model: dModel, n_heads: n, d_head: dHead, direct } = app.data;
      const focused = focusedBy(app.frame.host);
      if (focused !== words) words.value = now.join(" ");
      words.disabled = direct;
      for (const one of [model, heads, head]) one.element.hidden = direct;
      model.set(String(dModel), false);
      heads.set(String(n), false);
      if (![...head.box.options].some((one) => one.value === String(dHead)))
        head.box.append(h("option", { value: dHead }, String(dHead)));
      head.set(String(dHead), false);
      const key = JSON.stringify(now);
      if (key === drawn) return;
      const at = /** @type {HTMLElement | null} */ (moves.contains(focused) ? focused : null)?.dataset.move;
      drawn = key;
      moves.replaceChildren(
        ...now.map((word, i) =>
          h(
            "span",
            { class: "lab-move" },
            h(
              "button",
              {
                type: "button",
                "aria-label": `Move ${word} to the left`,
                disabled: i === 0,
                "data-move": `${i}-`,
                onclick: () => app.act({ do: "move", word: i, to: i - 1 }),
              },
              "‹",
            ),
            h("bdi", null, word),
            h(
              "button",
              {
                type: "button",
                "aria-label": `Move ${word} to the right`,
                disabled: i === now.length - 1,
                "data-move": `${i}+`,
                onclick: () => app.act({ do: "move", word: i, to: i + 1 }),
              },
              "›",
            ),
          ),
        ),
      );
      if (at) {
        const to = Math.min(Math.max(Number.parseInt(at, 10) + (at.endsWith("+") ? 1 : -1), 0), now.length - 1);
        const way = (to === 0 && "+") || (to === now.length - 1 && "-") || at.slice(-1);
        /** @type {HTMLElement | null} */ (moves.querySelector(`[data-move="${to}${way}"]`))?.focus();
      }
    },
  };
}
