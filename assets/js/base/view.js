/**
 * What every view is: it takes data, tells Python what was chosen once that has settled, follows the page's colours,
 * hears the keyboard, and goes.
 *
 * A view extends this. It makes its `frame` (see shell.js), calls `listen`, and says what it has to say to `choice`,
 * `readTheme`, `draw` and `onKey`.
 */
import { settle, typing } from "./dom.js";
import { pageOfLink, somethingIsOpen } from "./streamlit.js";

/** How long a choice rests before Python is told, ms. */
const SETTLED = 300;
/** How long a busy server may take until it has taken what it was told, ms. */
export const TAKEN = 10_000;

/**
 * @template Data
 * @template {import("./shell.js").Shell} [Frame=import("./shell.js").Shell]
 */
export class View {
  /** The view's elements. @type {Frame} */
  frame;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {import("./mounting.js").Callbacks} */
    this.callbacks = {};
    /**
     * The data's own count of changes from outside: another one, and the choice is taken from the data.
     * @type {number | null}
     */
    this.seed = null;
    /** The choice that Python knows, as text. */
    this.reported = "";
    /**
     * The choice that was last sent; null if Python has said since what is chosen.
     * @type {Record<string, unknown> | null}
     */
    this.sent = null;
    /** When Python was last told. */
    this.toldAt = -Infinity;
    /** @type {number | undefined} */
    this.pending = undefined;
    /** Ends with the view, and all that listens with it. */
    this.life = new AbortController();
    this.report = settle(SETTLED, () => this.send());
  }

  /** Hear the keyboard and follow the theme for as long as the view is there. */
  listen() {
    const { signal } = this.life;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    document.addEventListener("sightline:skip", (event) => this.skip() && event.preventDefault(), { signal });
    document.addEventListener("click", (event) => this.onMenu(event), { signal, capture: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme(), { signal });
  }

  /** Show the view once its style sheet is there, and go on. @param {() => void} then */
  whenStyled(then) {
    this.frame.styled.then(() => {
      if (this.life.signal.aborted) return;
      this.frame.host.style.visibility = "";
      then();
    });
  }

  /** Read the colours again, and draw with them. */
  retheme() {
    if (!this.frame.probe.isConnected) return;
    this.readTheme();
    this.draw();
  }

  /** Take the page's colours from the probe. */
  readTheme() {}

  draw() {}

  /** Draw in the next frame. */
  drawSoon() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  /** What somebody wants who skips all that stands before it. @returns {HTMLElement | null | undefined} */
  landing() {
    return null;
  }

  /** Focus what this view is about; false if there is nothing yet, or not here. */
  skip() {
    const to = this.frame.host.isConnected ? this.landing() : null;
    to?.focus();
    return Boolean(to);
  }

  /** A key was pressed somewhere on the page. @param {KeyboardEvent} _event */
  onKey(_event) {}

  /** True if this key may be a shortcut: pressed alone, by nobody who writes. @param {KeyboardEvent} event */
  hears(event) {
    return (
      this.frame.host.isConnected &&
      !event.defaultPrevented &&
      !event.ctrlKey &&
      !event.metaKey &&
      !event.altKey &&
      !typing(event) &&
      !(event.key === "Escape" && somethingIsOpen())
    );
  }

  /** What is chosen, in the words that Python has for it. @returns {Record<string, unknown>} */
  choice() {
    return {};
  }

  /** True if the choice is to be taken from the data: their count of changes is another one. @param {number} seed */
  isNews(seed) {
    const news = seed !== this.seed;
    this.seed = seed;
    return news;
  }

  /** What is chosen now is what Python knows. */
  agree() {
    this.reported = JSON.stringify(this.choice());
    this.sent = null;
  }

  /** Tell Python what is chosen, unless it knows. */
  send() {
    const choice = this.choice();
    const text = JSON.stringify(choice);
    if (text === this.reported) return;
    this.reported = text;
    this.sent = choice;
    this.toldAt = performance.now();
    this.callbacks.setState?.("view", choice);
  }

  /** Tell Python at once. */
  sendNow() {
    this.report.cancel();
    this.send();
  }

  /**
   * What is chosen, to be told by whoever asks for it: nothing more is on its way.
   * @returns {Record<string, unknown>}
   */
  takeChoice() {
    this.report.cancel();
    this.agree();
    return this.choice();
  }

  /**
   * Go to another page. The choice travels in the same message: of two the second may overtake it.
   * @param {string} page its address below the app's root
   */
  leave(page) {
    this.callbacks.setTrigger?.("leave", { page, view: this.takeChoice(), at: Date.now() });
  }

  /** A link of Streamlit's menu is clicked: what was chosen just before goes along. @param {MouseEvent} event */
  onMenu(event) {
    const page = pageOfLink(event);
    if (page === null || !this.frame.host.isConnected || !this.callbacks.setTrigger || !this.owes()) return;
    event.preventDefault();
    event.stopPropagation();
    this.leave(page);
  }

  /** True while Python may not know what is chosen: it was not told, or so lately that it may not have taken it. */
  owes() {
    return this.report.waiting() || performance.now() - this.toldAt < TAKEN;
  }

  destroy() {
    this.life.abort();
    this.report.cancel();
    this.frame.remove();
  }
}
