/**
 * Learn: lessons that ask before they show. Steps and marks are asked of the server; progress stays in this browser.
 *
 * @typedef {import("./told.d.ts").Place} Place
 * @typedef {import("./told.d.ts").Seen} Seen
 * @typedef {import("./told.d.ts").Answer} Answer
 * @typedef {import("./told.d.ts").Marked} Marked
 *
 * @typedef {object} Data
 * @property {import("./told.d.ts").Lesson[]} lessons
 * @property {Place} select
 * @property {number} seed     when it changes, `select` is taken from here
 * @property {number} longest  characters of a sentence of one's own
 * @property {boolean} [large]
 *
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 */
import { h } from "../base/dom.js";
import { mounting } from "../base/mounting.js";
import { createShell } from "../base/shell.js";
import { View } from "../base/view.js";
import { askMark, askStep } from "./asking.js";
import { createList } from "./list.js";
import { keep } from "./progress.js";
import { createHead, createOwn, createStep } from "./step.js";

/** @extends {View<Data>} */
export class Learn extends View {
  /** @type {import("../base/shell.js").Shell} */
  frame;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    /** @type {Place} */
    this.place = { ...data.select };
    /** @type {Seen | null} */
    this.seen = null;
    /** @type {{answer: Answer, marked: Marked} | null} */
    this.given = null;
    this.problem = "";
    /** Where the focus goes when the next drawing is done: a selector. */
    this.focusNext = "";
    /** Ends with the question that is on its way. */
    this.asking = new AbortController();
    this.body = h("div", { class: "sl-learn" });
    this.frame = createShell(root, { sheet: "learn.css", name: "sl-learn-root", testid: "sl-learn" }, this.body);
    this.listen();
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    this.whenStyled(() => {
      if (!this.isNews(data.seed)) return;
      this.place = { ...data.select };
      this.agree();
      this.load();
    });
  }

  get lesson() {
    return this.data.lessons.find((lesson) => lesson.id === this.place.lesson) ?? null;
  }

  choice() {
    return { ...this.place };
  }

  landing() {
    return this.body.querySelector("h2");
  }

  /** @param {Partial<Place>} to */
  goTo(to) {
    this.place = { ...this.place, ...to };
    this.focusNext = "h2";
    this.report();
    this.load();
  }

  /** Ask for the step that is to be shown. */
  async load() {
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    const { lesson } = this;
    this.seen = this.given = null;
    this.problem = "";
    if (!lesson) return this.draw();
    this.place.part = Math.min(Math.max(this.place.part, 1), lesson.steps);
    this.draw();
    await this.take(signal, async () => {
      this.seen = await askStep(this.place, signal);
    });
  }

  /** An answer, or null to be shown. @param {Answer} answer */
  async give(answer) {
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    const { lesson, part } = this.place;
    this.problem = "";
    await this.take(signal, async () => {
      const marked = await askMark(this.place, answer, signal);
      this.given = { answer, marked };
      this.focusNext = ".sl-learn-verdict";
      keep(lesson, part, marked.verdict);
    });
  }

  /**
   * Wait for the server, and draw what came or why nothing did.
   * @param {AbortSignal} signal @param {() => Promise<void>} ask
   */
  async take(signal, ask) {
    try {
      await ask();
    } catch (error) {
      if (signal.aborted) return;
      this.problem = error instanceof Error ? error.message : String(error);
    }
    if (!signal.aborted && !this.life.signal.aborted) this.draw();
  }

  draw() {
    const { lesson, place, seen } = this;
    /** @type {import("./step.js").Does} */
    const does = {
      give: (answer) => this.give(answer),
      again: () => {
        this.given = null;
        this.focusNext = ".sl-learn-asks";
        this.draw();
      },
      go: (by) => this.goTo({ part: place.part + by }),
      read: (own) => this.goTo({ own }),
      list: () => this.goTo({ lesson: "", part: 1 }),
    };
    if (!lesson) {
      const open = (/** @type {string} */ id, /** @type {number} */ part) => this.goTo({ lesson: id, part });
      this.body.replaceChildren(createList(this.data.lessons, open));
    } else {
      /** @type {HTMLElement[]} */
      const parts = [createHead(lesson, place.part, does)];
      if (seen) parts.push(createStep(seen, this.given, place.part === lesson.steps, does));
      else if (!this.problem) parts.push(h("p", { class: "sl-second", role: "status" }, "Reading the sentence …"));
      if (this.problem) parts.push(this.sayProblem());
      parts.push(createOwn(place.own, this.data.longest, does));
      this.body.replaceChildren(...parts);
    }
    this.frame.host.dataset.ready = lesson ? (seen ? `${lesson.id}:${place.part}` : "") : "list";
    this.focus();
  }

  sayProblem() {
    return h(
      "div",
      { class: "sl-learn-problem", role: "alert" },
      h("p", null, this.problem),
      !this.seen && h("button", { type: "button", onclick: () => this.load() }, "Try again"),
    );
  }

  /** What was pressed has gone: the focus goes to what came for it. */
  focus() {
    const to = this.focusNext && this.body.querySelector(this.focusNext);
    if (!(to instanceof HTMLElement)) return;
    to.tabIndex = -1;
    to.focus();
    this.focusNext = "";
  }

  destroy() {
    this.asking.abort();
    super.destroy();
  }
}

const { render, mount } = mounting(Learn);
export { render, mount as default };
