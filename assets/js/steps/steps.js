/**
 * Step by step: one head and one query followed in real numbers, from token to output.
 *
 * Nothing is computed here: every number comes from the ledger (`attention_core/ledger/records.py`) under the name that
 * it has there. `render` works in any page; the default export is what a components-v2 mount calls.
 *
 * @typedef {object} Data
 * @property {string} key      names the numbers under the data routes
 * @property {number} seed     when it changes, `select` is taken from here
 * @property {{layer: number, head: number, query: number, key: number | null, step: string, mode: string}} select
 * @property {{label: string, n_heads: number, n_query: number, n_key: number}[]} layers
 * @property {string | null} link
 * @property {string} [link_note]  why there is none
 * @property {object | null} [echo]  the report that `link` stands for
 * @property {boolean} [large]
 *
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 */
import { asset } from "../base/addresses.js";
import { focusedBy, h, say } from "../base/dom.js";
import { mounting } from "../base/mounting.js";
import { readColours } from "../picture/signed.js";
import { codePanel, formulaPanel } from "./formula.js";
import { createFrame } from "./frame.js";
import { glossaryOf, lowered, symbolsIn, wordsIn } from "./glossary.js";
import { LedgerView } from "./ledger.js";
import { checkText, keysShown } from "./number.js";
import { matrixPanel } from "./matrices.js";
import { productsPanel } from "./products.js";
import { onward } from "./story/onward.js";
import { story } from "./story.js";
import { values } from "./values.js";

/** Keys shown before somebody asks for all. */
const MOST_KEYS = 16;
/** So few are shown at once. */
const FEW_KEYS = 24;

export class Steps extends LedgerView {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {import("../picture/signed.js").Colours} */
  colours;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    this.mode = "story";
    this.digits = 4;
    this.allKeys = false;
    this.mostKeys = MOST_KEYS;
    this.matrixOn = false;
    this.matrixOf = "";
    /** @type {number | null} the column of a map that is lit; null: that of the largest result */
    this.lit = null;
    /** @type {number | null} the component of the stream that is lit; null: the largest */
    this.channel = null;
    /** What the model would say without its mask is asked for. */
    this.ahead = false;
    /** @type {number | null} which of the sizes of random vectors is looked at; null: the one nearest to this head's */
    this.randomSize = null;
    /** @type {number | null} how many products of a score are added up; null: all */
    this.added = null;
    /** @type {{name: string, at: number[], shown: number} | null} the number whose products are shown */
    this.opened = null;
    this.glossary = glossaryOf([]);
    /** @type {Set<string>} */
    this.explained = new Set();
    /** @type {(() => void)[]} */
    this.paintings = [];
    /** Ends what moves on the page. */
    this.stop = () => {};
    /** What was just opened, until it stands there whole and on the screen; "" for nothing. */
    this.revealing = "";
    this.failed = "";
    this.frame = createFrame(this);
    this.listen();
    fetch(asset("lessons/glossary.json"))
      .then((answer) => answer.json())
      .then((entries) => {
        this.glossary = glossaryOf(entries);
        this.draw();
      })
      .catch(() => {}); // without the glossary the words stay words
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    this.read(data.key);
    if (this.isNews(data.seed)) {
      this.place = { ...data.select };
      this.mode = data.select.mode;
      this.opened = null;
      this.failed = "";
      if (this.source) this.source.lost = false; // Python has made the numbers again
      this.agree();
    }
    this.whenStyled(() => {
      this.readTheme();
      this.load();
    });
  }

  readTheme() {
    this.colours = readColours(this.frame.probe);
  }

  // --- what is chosen

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

  /**
   * Change layer, head, query or key.
   * @param {Partial<{layer: number, head: number, query: number, key: number | null}>} change
   */
  choose(change) {
    const place = { ...this.place, ...change };
    const { n_heads: nHeads, n_query: nQuery, n_key: nKey } = this.data.layers[place.layer];
    place.head = Math.min(place.head, nHeads - 1);
    place.query = Math.min(place.query, nQuery - 1);
    if (place.key !== null && place.key >= nKey) place.key = null;
    const another =
      place.layer !== this.place.layer || place.head !== this.place.head || place.query !== this.place.query;
    this.place = place;
    this.added = null;
    if (another) this.ahead = false;
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
    if (!this.meta.steps.some((step) => step.name === name)) return;
    this.place = { ...this.place, step: name };
    this.opened = null;
    this.added = null;
    this.report();
    this.draw();
    this.frame.announce(`Step ${this.at + 1} of ${this.meta.steps.length}: ${this.step.title}`);
  }

  /** @param {1 | -1} by */
  walk(by) {
    const next = this.meta.steps[this.at + by];
    if (next) this.goTo(next.name);
  }

  /** The first step of another layer, with the same head and token. @param {number} layer */
  beginAgain(layer) {
    this.place.step = this.meta.steps[0].name;
    this.choose({ layer });
    this.frame.announce(`${this.data.layers[layer].label}, step 1`);
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

  /** @param {number} column  of the map that is shown as a product of matrices */
  light(column) {
    this.lit = column;
    this.draw();
  }

  /** @param {number} component  of vectors that add up */
  lightChannel(component) {
    this.channel = component;
    this.draw();
  }

  /** @param {boolean} on */
  setMatrix(on) {
    this.matrixOn = on;
    this.revealing = on ? ".sl-matrices" : "";
    this.draw();
  }

  /** Show the products behind a number. @param {string} name @param {number[]} at */
  open(name, at) {
    const same = this.opened && this.opened.name === name && this.opened.at.join() === at.join();
    this.opened = same ? null : { name, at, shown: 12 };
    this.revealing = same ? "" : ".sl-opened";
    this.draw();
  }

  landing() {
    return /** @type {HTMLElement | null} */ (this.frame.view.querySelector(".sl-step-head h2"));
  }

  choice() {
    const { layer, head, query, key } = this.place;
    return { layer, head, query, key, step: this.place.step, mode: this.mode };
  }

  /** This step as a picture: what it is of stands over it. @returns {import("../keeping/bar.js").Slide} */
  slide() {
    const { meta, step, at } = this;
    const query = `“${this.queryToken}” (token ${meta.query})`;
    return {
      part: /** @type {HTMLElement} */ (this.frame.view.querySelector(".sl-step-body")),
      lines: [
        `${meta.place} · head ${meta.head} · ${query} · ${meta.model}`,
        `step ${at + 1} of ${meta.steps.length} · ${meta.judged.sign} ${meta.verdict}`,
      ],
      name: `sightline-layer${meta.layer}-head${meta.head}-token${meta.query}-${step.name}`,
    };
  }

  destroy() {
    this.stop();
    super.destroy();
  }

  /** Back to all heads, with the choice told on the way. */
  explore() {
    this.leave("");
  }

  // --- drawing

  /** Words with explanations. @param {string} text */
  words(text) {
    return wordsIn(text, this.glossary, this.explained).map((part) =>
      typeof part === "string" ? part : this.frame.tip.term(part.text, part.entry),
    );
  }

  /** Symbols with explanations. @param {string} text */
  symbols(text) {
    return symbolsIn(text, this.glossary).flatMap((part) =>
      typeof part === "string" ? lowered(part) : [this.frame.tip.term(part.text, part.entry, true)],
    );
  }

  /** Paint now or, while the view is being built, when it stands. @param {() => void} painting */
  paints(painting) {
    this.paintings.push(painting);
  }

  /** What the pointer is on. @param {string} text */
  tell(text) {
    say(this.frame.readout, text);
  }

  /** Draw everything that depends on the choice. */
  draw() {
    if (!this.meta || !this.colours) return;
    const { frame } = this;
    const focus = /** @type {HTMLElement | null} */ (focusedBy(frame.host))?.dataset?.focus ?? null;
    this.paintings = [];
    this.stop();
    this.explained = new Set();
    frame.tip.hide();
    frame.draw();
    const { step } = this;
    const body = step.why_not ? [notObserved(this)] : this.body();
    frame.show(
      h(
        "header",
        { class: "sl-step-head" },
        h("h2", { tabindex: "-1" }, h("span", { class: "sl-step-number" }, `${this.at + 1}`), ` ${step.title}`),
      ),
      step.says && this.mode !== "code" ? h("p", { class: "sl-says" }, ...this.words(step.says)) : null,
      this.matrixOn ? matrixPanel(this) : null,
      ...body,
      this.at === this.meta.steps.length - 1 ? onward(this) : null,
      checks(this),
    );
    if (this.opened && !step.why_not) frame.place(productsPanel(this), this.opened);
    for (const painting of this.paintings) painting();
    if (focus)
      /** @type {HTMLElement | null} */ (frame.host.querySelector(`[data-focus="${CSS.escape(focus)}"]`))?.focus({
        preventScroll: true,
      });
    if (this.revealing && frame.reveal(this.revealing)) this.revealing = "";
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
    if (!this.meta || !this.hears(event)) return;
    const from = event.composedPath()[0];
    // arrows scroll what has the focus
    if (from instanceof HTMLInputElement && from.type === "range") return;
    if (from instanceof Element && from.closest(".sl-scroll, pre") && from.scrollWidth > from.clientWidth) return;
    const { key } = event;
    if (key === "ArrowRight") this.walk(1);
    else if (key === "ArrowLeft") this.walk(-1);
    else if (key === "Home") this.goTo(this.meta.steps[0].name);
    else if (key === "End") this.goTo(this.meta.steps[this.meta.steps.length - 1].name);
    else if (/^[1-9]$/.test(key) && this.meta.steps[Number(key) - 1]) this.goTo(this.meta.steps[Number(key) - 1].name);
    else if (key === "[" || key === "]") this.choose({ head: Math.max(this.place.head + (key === "]" ? 1 : -1), 0) });
    else if (key === "Escape" && this.opened) {
      this.opened = null;
      this.draw();
    } else return;
    event.preventDefault();
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
    ...step.checks.map((check) => {
      const fault = meta.faults.find((one) => one.check === check.name);
      return h("p", { "data-holds": String(check.holds) }, checkText(check, fault));
    }),
  );
}

const { render, mount } = mounting(Steps);
export { render, mount as default };
