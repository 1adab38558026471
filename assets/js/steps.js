/**
 * Step by step: one head and one query followed in real numbers, from token to output.
 *
 * Nothing is computed here: every number comes from the ledger (`attention_core/ledger.py`) under the name that it has
 * there. `render` works in any page; the default export is what a components-v2 mount calls.
 *
 * @typedef {object} Data
 * @property {string} key      names the numbers under the data routes
 * @property {number} seed     when it changes, `select` is taken from here
 * @property {{layer: number, head: number, query: number, key: number | null, step: string, mode: string}} select
 * @property {{label: string, n_heads: number, n_query: number, n_key: number}[]} layers
 * @property {string | null} link
 * @property {boolean} [large]
 *
 * @typedef {import("./mounting.js").Callbacks} Callbacks
 */
import { h, mark, say, settle, typing } from "./dom.js";
import { appRoot, mounting } from "./mounting.js";
import { HttpSource, LostError } from "./source.js";
import { codePanel, formulaPanel } from "./steps-formula.js";
import { createFrame } from "./steps-frame.js";
import { glossaryOf, lowered, symbolsIn, wordsIn } from "./steps-glossary.js";
import { checkText, keysShown } from "./steps-number.js";
import { matrixPanel, productsPanel } from "./steps-open.js";
import { story } from "./steps-story.js";
import { readColours } from "./steps-strip.js";
import { values } from "./steps-values.js";

export const MODES = ["story", "numbers", "formula", "code"];
/** Keys shown before somebody asks for all. */
const MOST_KEYS = 16;
/** So few are shown at once. */
const FEW_KEYS = 24;

export class Steps {
  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {Callbacks} */
    this.callbacks = {};
    this.place = { ...data.select };
    this.mode = "story";
    this.digits = 4;
    this.allKeys = false;
    this.mostKeys = MOST_KEYS;
    this.matrixOn = false;
    this.matrixOf = "";
    /** @type {Set<string>} long vectors that are shown whole */
    this.unfolded = new Set();
    /** @type {{name: string, at: number[], shown: number} | null} the number whose products are shown */
    this.opened = null;
    /** Of the ledger that is shown; `place` is ahead of it while another is on its way. @type {Record<string, any>} */
    this.meta = /** @type {any} */ (null);
    /** @type {Record<string, import("./wire.js").Buffer>} */
    this.arrays = {};
    /** @type {Map<string, Map<number, Float32Array>>} rows that came later, by tensor */
    this.late = new Map();
    /** @type {HttpSource | null} */
    this.source = null;
    this.sourceKey = "";
    /** @type {number | null} */
    this.seed = null;
    this.wanted = "";
    this.shown = "";
    this.glossary = glossaryOf([]);
    /** @type {Set<string>} */
    this.explained = new Set();
    /** @type {(() => void)[]} */
    this.paintings = [];
    /** @type {import("./steps-strip.js").Colours} */
    this.colours = /** @type {any} */ (null);
    this.told = "";
    /** @type {number | undefined} */
    this.pending = undefined;
    this.failed = "";
    this.report = settle(300, () => this.send());
    this.life = new AbortController();
    this.frame = createFrame(this);
    const { signal } = this.life;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme(), { signal });
    fetch(new URL("../lessons/glossary.json", import.meta.url)).then((answer) => answer.json()).then((entries) => {
      this.glossary = glossaryOf(entries);
      this.draw();
    }).catch(() => {}); // without the glossary the words stay words
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    if (data.key !== this.sourceKey) {
      const base = new URL(`sightline/data/${encodeURIComponent(data.key)}/`, appRoot()).href;
      this.source = new HttpSource(base, { onLost: () => this.callbacks.setTrigger?.("lost", data.key) });
      this.sourceKey = data.key;
      this.shown = "";
    }
    if (data.seed !== this.seed) {
      this.seed = data.seed;
      this.place = { ...data.select };
      this.mode = data.select.mode;
      this.opened = null;
      this.failed = "";
      if (this.source) this.source.lost = false; // Python has made the numbers again
      this.told = JSON.stringify(this.choice());
    }
    this.frame.styled.then(() => {
      if (this.life.signal.aborted) return;
      this.frame.host.style.visibility = "";
      this.colours = readColours(this.frame.probe);
      this.load();
    });
  }

  retheme() {
    if (!this.frame.probe.isConnected) return;
    this.colours = readColours(this.frame.probe);
    this.draw();
  }

  /** Fetch the ledger of the chosen place, unless it is here. */
  async load() {
    const { layer, head, query } = this.place;
    const name = `${this.sourceKey}/${layer}/${head}/${query}`;
    if (name === this.wanted || !this.source) return;
    if (name === this.shown) {
      this.wanted = "";
      mark(this.frame.view, "aria-busy", false);
      this.draw();
      return;
    }
    this.wanted = name;
    mark(this.frame.view, "aria-busy", true);
    try {
      const { meta, arrays } = await this.source.pack(`ledger/${layer}/${head}/${query}`);
      if (this.wanted !== name || this.life.signal.aborted) return;
      this.meta = meta;
      this.arrays = arrays;
      this.late.clear();
      this.unfolded.clear();
      this.shown = name;
      this.frame.state.show("ready");
      this.draw();
    } catch (error) {
      if (this.wanted !== name) return;
      const lost = error instanceof LostError;
      this.frame.state.show(lost ? "lost" : "error", /** @type {Error} */ (error).message);
    } finally {
      if (this.wanted === name) {
        this.wanted = "";
        mark(this.frame.view, "aria-busy", false);
      }
    }
  }

  again() {
    if (this.source) this.source.lost = false;
    this.shown = "";
    this.load();
  }

  // --- what is chosen

  /** @returns {Record<string, any>} */
  get step() {
    const { steps } = this.meta;
    return steps.find((/** @type {any} */ step) => step.name === this.place.step) ?? steps[0];
  }

  get at() {
    return this.meta.steps.indexOf(this.step);
  }

  /** @returns {{t: string, s: number}[]} */
  get keys() {
    return this.meta.keys;
  }

  /** The key that is followed: the chosen one, else the one with the largest weight. @returns {number} */
  get key() {
    const { key } = this.place;
    return key !== null && key < this.keys.length ? key : this.arrays.order.data[0];
  }

  shownKeys() {
    const { order } = this.arrays;
    const n = this.allKeys || this.keys.length <= FEW_KEYS ? this.keys.length : MOST_KEYS;
    return keysShown(order.data, n, [this.key, this.meta.same_tokens ? this.meta.query : null]);
  }

  /** @param {boolean} all */
  setAllKeys(all) {
    this.allKeys = all;
    this.draw();
  }

  /** Change layer, head, query or key. @param {Partial<{layer: number, head: number, query: number, key: number | null}>} change */
  choose(change) {
    const place = { ...this.place, ...change };
    const { n_heads: nHeads, n_query: nQuery, n_key: nKey } = this.data.layers[place.layer];
    place.head = Math.min(place.head, nHeads - 1);
    place.query = Math.min(place.query, nQuery - 1);
    if (place.key !== null && place.key >= nKey) place.key = null;
    const another = place.layer !== this.place.layer || place.head !== this.place.head || place.query !== this.place.query;
    this.place = place;
    if (another || !this.opened || change.key === undefined) this.opened = null;
    else this.opened = this.follow(change.key);
    this.report();
    if (another) this.load();
    else this.draw();
  }

  /** The opened number, for another key. @param {number | null} key */
  follow(key) {
    if (!this.opened || key === null) return null;
    const { name, at, shown } = this.opened;
    if (name === "scores") return { name, at: [key], shown };
    return at.length === 2 ? { name, at: [key, at[1]], shown } : this.opened;
  }

  /** @param {string} name  of a step */
  goTo(name) {
    if (!this.meta.steps.some((/** @type {any} */ step) => step.name === name)) return;
    this.place = { ...this.place, step: name };
    this.opened = null;
    this.report();
    this.draw();
    this.frame.announce(`Step ${this.at + 1} of ${this.meta.steps.length}: ${this.step.title}`);
  }

  /** @param {1 | -1} by */
  walk(by) {
    const next = this.meta.steps[this.at + by];
    if (next) this.goTo(next.name);
  }

  /** @param {string} mode */
  setMode(mode) {
    this.mode = mode;
    this.report();
    this.draw();
  }

  /** @param {number} digits */
  setDigits(digits) {
    this.digits = digits;
    this.draw();
  }

  /** @param {boolean} on */
  setMatrix(on) {
    this.matrixOn = on;
    this.draw();
  }

  /** Show the products behind a number. @param {string} name @param {number[]} at */
  open(name, at) {
    const same = this.opened && this.opened.name === name && this.opened.at.join() === at.join();
    this.opened = same ? null : { name, at, shown: 12 };
    this.draw();
    if (!same) this.frame.view.querySelector(".sl-opened")?.scrollIntoView({ block: "nearest" });
  }

  choice() {
    const { layer, head, query, key } = this.place;
    return { layer, head, query, key, step: this.place.step, mode: this.mode };
  }

  send() {
    const choice = this.choice();
    const text = JSON.stringify(choice);
    if (text === this.told) return;
    this.told = text;
    this.callbacks.setState?.("view", choice);
  }

  /** Back to all heads, with the choice told first. */
  explore() {
    this.report.cancel();
    this.send();
    this.callbacks.setTrigger?.("explore", Date.now());
  }

  // --- what is known

  /** One value; null if its row is still on its way. @param {string} name @param {number[]} at @returns {number | null} */
  value(name, at) {
    const array = this.arrays[name];
    if (!array) return null;
    if (at.length === 2) return this.vector(name, at[0])?.[at[1]] ?? null;
    return array.data[at[0] ?? 0] ?? null;
  }

  /** A vector, or a row of a tensor; null if it is still on its way. @param {string} name @param {number | null} row @returns {ArrayLike<number> | null} */
  vector(name, row) {
    const array = this.arrays[name];
    if (!array) return null;
    if (row === null || array.shape.length < 2) return array.data;
    const width = array.shape[1];
    const known = this.meta.rows[name];
    const place = known ? known.indexOf(row) : row;
    if (place >= 0) return array.data.subarray(place * width, (place + 1) * width);
    const late = this.late.get(name)?.get(row);
    if (!late) this.ask(name, row);
    return late ?? null;
  }

  /** Fetch the block of rows that holds this one. @param {string} name @param {number} row */
  async ask(name, row) {
    const start = row - (row % this.meta.blocks[name]);
    const { layer, head, query } = this.meta;
    const path = `ledger/${layer}/${head}/${query}/rows/${name}/${start}`;
    if (this.source?.waiting.has(path)) return;
    const shown = this.shown;
    try {
      const pack = await /** @type {HttpSource} */ (this.source).pack(path);
      if (this.shown !== shown) return;
      const { data, shape } = pack.arrays[name];
      const rows = this.late.get(name) ?? new Map();
      for (let i = 0; i < shape[0]; i++) rows.set(start + i, data.subarray(i * shape[1], (i + 1) * shape[1]));
      this.late.set(name, rows);
      this.drawSoon();
    } catch (error) {
      this.tell(/** @type {Error} */ (error).message);
    }
  }

  /** The largest magnitude among the rows that are shown, for one scale. @param {string} name @param {number[]} rows */
  top(name, rows) {
    let top = 0;
    for (const row of rows) {
      const values = this.vector(name, row) ?? [];
      for (let i = 0; i < values.length; i++) top = Math.max(top, Math.abs(values[i]));
    }
    return top;
  }

  /** @param {number} key */
  masked(key) {
    const allowed = this.arrays.allowed?.data;
    return Boolean(allowed && allowed[key] === 0);
  }

  /** @param {string} name */
  has(name) {
    return Boolean(this.arrays[name]);
  }

  /** @param {string} step */
  titleOf(step) {
    return this.meta.steps.find((/** @type {any} */ one) => one.name === step)?.title ?? step;
  }

  get queryToken() {
    return this.meta.queries[this.meta.query].t;
  }

  // --- drawing

  /** Words with explanations. @param {string} text */
  words(text) {
    return wordsIn(text, this.glossary, this.explained).map((part) => (typeof part === "string" ? part : this.frame.tip.term(part.text, part.entry)));
  }

  /** Symbols with explanations. @param {string} text */
  symbols(text) {
    return symbolsIn(text, this.glossary).flatMap((part) => (typeof part === "string" ? lowered(part) : [this.frame.tip.term(part.text, part.entry, true)]));
  }

  /** Paint now or, while the view is being built, when it stands. @param {() => void} painting */
  paints(painting) {
    this.paintings.push(painting);
  }

  /** What the pointer is on. @param {string} text */
  tell(text) {
    say(this.frame.readout, text);
  }

  drawSoon() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  /** Draw everything that depends on the choice. */
  draw() {
    if (!this.meta || !this.colours) return;
    const { frame } = this;
    const focus = /** @type {any} */ (frame.host.getRootNode()).activeElement?.dataset?.focus ?? null;
    this.paintings = [];
    this.explained = new Set();
    frame.tip.hide();
    frame.draw();
    const { step } = this;
    const body = step.why_not ? [notObserved(this)] : this.body();
    frame.show(
      h("header", { class: "sl-step-head" }, h("h2", { tabindex: "-1" }, h("span", { class: "sl-step-number" }, `${this.at + 1}`), ` ${step.title}`)),
      step.says && this.mode !== "code" ? h("p", { class: "sl-says" }, ...this.words(step.says)) : null,
      ...body,
      this.opened && !step.why_not ? productsPanel(this) : null,
      this.matrixOn ? matrixPanel(this) : null,
      checks(this),
    );
    for (const painting of this.paintings) painting();
    if (focus) /** @type {HTMLElement | null} */ (frame.host.querySelector(`[data-focus="${CSS.escape(focus)}"]`))?.focus({ preventScroll: true });
    const ready = `${this.shown}:${step.name}:${this.mode}`;
    if (frame.host.dataset.ready !== ready) {
      frame.host.dataset.ready = ready;
      performance.mark("sightline:step");
    }
  }

  body() {
    if (this.mode === "numbers") return values(this);
    if (this.mode === "formula") return formulaPanel(this);
    if (this.mode === "code") return codePanel(this);
    return story(this);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const { frame } = this;
    if (!frame.host.isConnected || !this.meta || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const from = /** @type {any} */ (event.composedPath()[0]);
    if (from?.closest?.(".sl-scroll, pre") && from.scrollWidth > from.clientWidth) return; // arrows scroll what has the focus
    const { key } = event;
    if (key === "ArrowRight") this.walk(1);
    else if (key === "ArrowLeft") this.walk(-1);
    else if (key === "Home") this.goTo(this.meta.steps[0].name);
    else if (key === "End") this.goTo(this.meta.steps.at(-1).name);
    else if (/^[1-9]$/.test(key) && this.meta.steps[Number(key) - 1]) this.goTo(this.meta.steps[Number(key) - 1].name);
    else if (key === "[" || key === "]") this.choose({ head: Math.max(this.place.head + (key === "]" ? 1 : -1), 0) });
    else if (key === "Escape" && this.opened) {
      this.opened = null;
      this.draw();
    } else return;
    event.preventDefault();
  }

  destroy() {
    this.life.abort();
    this.report.cancel();
    this.frame.remove();
  }
}

/** @param {Steps} app */
function notObserved(app) {
  return h("p", { class: "sl-note" }, "The numbers of this step could not be observed: ", app.step.why_not, ".");
}

/** What this step was compared with. @param {Steps} app */
function checks(app) {
  const { step, meta } = app;
  if (!step.checks.length) return null;
  return h(
    "footer",
    { class: "sl-checks" },
    ...step.checks.map((/** @type {any} */ check) => {
      const fault = meta.faults.find((/** @type {any} */ one) => one.check === check.name);
      return h("p", { "data-holds": String(check.holds) }, checkText(check, fault));
    }),
  );
}

const { render, mount } = mounting(Steps);
export { render, mount as default };
