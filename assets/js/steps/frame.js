/**
 * What stands around a step: the map (token → layer → head → step), the proof, the steps by number, modes and
 * precision.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { appRoot } from "../base/addresses.js";
import { h, mark, say } from "../base/dom.js";
import { asPictures, createKeeping } from "../keeping/bar.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";
import { createTip } from "./glossary.js";
import { DIGITS } from "./number.js";
import { stateOf } from "../base/words.js";

const MODES = [
  ["story", "Story"],
  ["numbers", "Numbers"],
  ["formula", "Formula"],
  ["code", "Code"],
];
/** Ticks of a small picture: more are drawn as one band. */
const TICKS = 32;

/** What a number stands in, and what it opens stands under. */
const STANDS_IN = ".sl-keys tr, .sl-vector, .sl-row, .sl-equation, .sl-mapped, .sl-sum, .sl-pair";

/** @param {Steps} app */
export function createFrame(app) {
  const state = createState(() => app.again());
  const map = createMap(app);
  const walk = createWalk(app);
  const stepper = createStepper(app);
  const tools = createTools(app);
  map.element.append(tools.mode); // where there is no room for a line of buttons
  const proof = h("p", { class: "sl-proof", "data-testid": "sl-proof" });
  const reasons = h("ul", { class: "sl-reasons", "data-testid": "sl-reasons", hidden: true });
  const body = h("section", { class: "sl-step-body", "data-testid": "sl-step", "aria-label": "This step" });
  const readout = h("p", { class: "sl-hover", "aria-hidden": "true" });
  const live = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite" });
  const view = h(
    "div",
    { class: "sl-walk" },
    state.element,
    h("div", { class: "sl-top" }, walk.element, map.element),
    h("div", { class: "sl-proved" }, proof, map.back, reasons),
    stepper.element,
    tools.element,
    body,
    readout,
    live,
  );
  const shell = createShell(app.root, { sheet: "steps.css", name: "sl-steps-root" }, view);
  const tip = createTip(shell.host);
  state.show("loading");

  return {
    ...shell,
    view,
    state,
    tip,
    readout,
    draw() {
      map.draw();
      walk.draw();
      stepper.draw();
      tools.draw();
      drawProof(app, proof, reasons);
    },
    /** @param {...(Node | null)} parts */
    show(...parts) {
      const top = /** @type {HTMLElement} */ (body).offsetHeight;
      body.style.minHeight = `${Math.min(top, 200)}px`; // the page does not jump while the step is exchanged
      body.replaceChildren(...parts.filter((part) => part !== null));
    },
    /**
     * Put what a number opened under the row or the vector that the number stands in.
     * @param {HTMLElement} panel @param {{name: string, at: number[]}} of
     */
    place(panel, { name, at }) {
      const number = `[data-focus="${CSS.escape(`num:${name}:${at.join(",")}`)}"]`;
      const strip = `[data-strip="${name}"][data-row="${at.length === 2 ? at[0] : ""}"]`;
      const places = [...body.querySelectorAll(`${number}, ${strip}`)]
        .map((one) => one.closest(STANDS_IN))
        .filter((one) => one !== null);
      const place = places.find((one) => one instanceof HTMLTableRowElement) ?? places[0];
      if (!place) body.append(panel);
      else if (place instanceof HTMLTableRowElement)
        place.after(h("tr", { class: "sl-opened-row" }, h("td", { colspan: place.cells.length }, panel)));
      else place.after(panel);
    },
    /** Scroll to what opened; false while it is not all there. @param {string} which */
    reveal(which) {
      const opened = body.querySelector(which);
      if (!opened) return true;
      const tall = opened.getBoundingClientRect().height > innerHeight * 0.7;
      opened.scrollIntoView({ block: tall ? "start" : "nearest" });
      return opened.matches("[data-whole]");
    },
    /** @param {string} text */
    announce(text) {
      say(live, text);
    },
  };
}

/** Where this step sits. @param {Steps} app */
function createMap(app) {
  const token = select("token", (value) => app.choose({ query: value }));
  const layer = select("layer", (value) => app.choose({ layer: value }));
  const head = select("head", (value) => app.choose({ head: value }));
  const back = h(
    "a",
    {
      class: "sl-back",
      href: ".",
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        app.explore();
      },
    },
    "all heads",
  );
  const element = h(
    "nav",
    { class: "sl-map", "aria-label": "What is followed", "data-testid": "sl-map" },
    token.element,
    arrow(),
    layer.element,
    arrow(),
    head.element,
  );
  /** @type {string} */
  let drawn = "";
  return {
    element,
    back,
    draw() {
      const { data, place, meta } = app;
      const { layers } = data;
      const key = `${app.shown}|${data.link}`;
      if (drawn !== key) {
        drawn = key;
        token.fill(meta.queries.map((one, i) => `${i} ${one.t}`));
        layer.fill(layers.map((one, i) => (one.label === `layer ${i}` ? String(i) : one.label)));
        head.fill(Array.from({ length: layers[place.layer].n_heads }, (_, i) => String(i)));
        back.href = new URL(data.link ?? "", appRoot()).href;
      }
      token.choose(place.query, meta.queries.length, "query");
      layer.choose(place.layer, layers.length);
      head.choose(place.head, layers[place.layer].n_heads);
    },
  };

  /** @param {string} name @param {(value: number) => void} changed */
  function select(name, changed) {
    const box = h("select", {
      class: "sl-place-value",
      "data-testid": `sl-${name}`,
      onchange: () => changed(box.selectedIndex),
      "data-focus": `select:${name}`,
    });
    const ticks = h("span", { class: "sl-ticks", "aria-hidden": "true" });
    const element = h("label", { class: "sl-place" }, h("span", { class: "sl-place-name" }, name), box, ticks);
    return {
      element,
      /** @param {string[]} names */
      fill(names) {
        box.replaceChildren(...names.map((text) => h("option", null, text)));
      },
      /** @param {number} index @param {number} n @param {string} [role] */
      choose(index, n, role) {
        box.selectedIndex = index;
        drawTicks(ticks, index, n, role);
      },
    };
  }
}

function arrow() {
  return h("span", { class: "sl-arrow", "aria-hidden": "true" }, "→");
}

/**
 * A row of ticks with the chosen one marked.
 * @param {HTMLElement} element
 * @param {number} index
 * @param {number} n
 * @param {string} [role]
 */
function drawTicks(element, index, n, role) {
  const shown = Math.min(n, TICKS);
  const at = n > TICKS ? Math.round((index / Math.max(n - 1, 1)) * (shown - 1)) : index;
  element.replaceChildren(
    ...Array.from({ length: shown }, (_, i) => h("i", { "data-here": i === at, "data-role": i === at ? role : null })),
  );
}

/** Previous, the step by its name, and Next: in one place, whatever stands below. @param {Steps} app */
function createWalk(app) {
  const before = h(
    "button",
    { type: "button", title: "Previous step (←)", "data-testid": "sl-previous", onclick: () => app.walk(-1) },
    "← Previous",
  );
  const after = h(
    "button",
    {
      type: "button",
      class: "sl-primary",
      title: "Next step (→)",
      "data-testid": "sl-next",
      onclick: () => app.walk(1),
    },
    "Next →",
  );
  const names = h("select", {
    "aria-label": "Step",
    "data-testid": "sl-step-name",
    "data-focus": "step-name",
    onchange: () => app.goTo(app.meta.steps[names.selectedIndex].name),
  });
  /** @type {import("./packs").Step[] | null} */
  let drawn = null;
  return {
    element: h("nav", { class: "sl-walkers", "aria-label": "Previous and next step" }, before, names, after),
    draw() {
      const { steps } = app.meta;
      if (drawn !== steps) {
        drawn = steps;
        names.replaceChildren(
          ...steps.map((step, i) => h("option", { value: step.name }, `${i + 1}/${steps.length} ${step.title}`)),
        );
      }
      names.selectedIndex = app.at;
      before.disabled = app.at === 0;
      after.disabled = app.at === steps.length - 1;
    },
  };
}

/** The steps by number and name. @param {Steps} app */
function createStepper(app) {
  const list = h("ol", { class: "sl-stepper" });
  return {
    element: h("nav", { class: "sl-walkbar", "aria-label": "Steps" }, list),
    draw() {
      const { steps } = app.meta;
      list.replaceChildren(
        ...steps.map((step, i) => {
          const here = i === app.at;
          const state = step.why_not ? "hidden" : step.holds ? "ok" : "bad";
          const sign = { hidden: "○", ok: "", bad: "✗" }[state];
          const says = { hidden: ", not observed", ok: "", bad: ", does not close" }[state];
          return h(
            "li",
            null,
            h(
              "button",
              {
                type: "button",
                class: "sl-stop",
                "aria-current": here ? "step" : null,
                "data-state": state,
                "data-step": step.name,
                "data-focus": `step:${step.name}`,
                "aria-label": `${i + 1} ${step.title}${says}`,
                onclick: () => app.goTo(step.name),
              },
              h("span", { class: "sl-stop-number" }, `${i + 1}${sign}`),
              h("span", { class: "sl-stop-name" }, step.title),
            ),
          );
        }),
      );
    },
  };
}

/** Modes, precision, and all tokens at once. @param {Steps} app */
function createTools(app) {
  const modes = MODES.map(([mode, name]) =>
    h("button", { type: "button", "data-mode": mode, onclick: () => app.setMode(mode) }, name),
  );
  const mode = h(
    "select",
    {
      class: "sl-mode",
      "aria-label": "How this step is told",
      "data-testid": "sl-mode",
      onchange: () => app.setMode(MODES[mode.selectedIndex][0]),
    },
    ...MODES.map(([value, name]) => h("option", { value }, name)),
  );
  const digits = h(
    "select",
    { "aria-label": "Digits after the point", onchange: () => app.setDigits(DIGITS[digits.selectedIndex]) },
    ...DIGITS.map((n) => h("option", { value: n }, `${n} digits`)),
  );
  const matrix = h("input", {
    type: "checkbox",
    onchange: () => app.setMatrix(matrix.checked),
    "data-testid": "sl-matrix",
  });
  const element = h(
    "div",
    { class: "sl-tools" },
    h("div", { class: "sl-modes", role: "group", "aria-label": "How this step is told" }, ...modes),
    h("label", { class: "sl-toggle" }, matrix, "all tokens at once"),
    digits,
    createKeeping(
      app,
      asPictures(() => app.slide()),
    ).element,
  );
  return {
    element,
    mode,
    draw() {
      mode.selectedIndex = MODES.findIndex(([name]) => name === app.mode);
      for (const button of modes) mark(button, "aria-pressed", String(button.dataset.mode === app.mode));
      digits.selectedIndex = DIGITS.indexOf(app.digits);
      matrix.checked = app.matrixOn;
    },
  };
}

/**
 * One line: what the proof comes to; and why it is not plainly checked.
 * @param {Steps} app
 * @param {HTMLElement} element
 * @param {HTMLElement} reasons
 */
function drawProof(app, element, reasons) {
  const { judged, verdict } = app.meta;
  mark(element, "data-state", stateOf(judged.answer));
  say(element, `${judged.sign} ${verdict}`);
  reasons.hidden = judged.reasons.length === 0;
  reasons.replaceChildren(...judged.reasons.map((reason) => h("li", null, reason)));
}
