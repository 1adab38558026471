/**
 * The explorer's state: takes data, passes choices around, and repaints what a change touches.
 */
import { mark } from "../base/dom.js";
import { createFollowing } from "./following.js";
import { createFrame } from "./frame.js";
import { takeOver } from "./handover.js";
import { choiceAt, neighbour, placeOf } from "../picture/grid.js";
import { createNumbers } from "./numbers.js";
import { popover } from "../base/popover.js";
import { readTheme } from "../base/scale.js";
import { active, carried, initial, positionOf, reduce } from "../base/selection.js";
import { AT_ONCE, createSync } from "../base/sync.js";
import { TAKEN, View } from "../base/view.js";
import { codesOf } from "../base/wire.js";

/** @typedef {import("./explorer.js").Data} Data */
/** @typedef {import("../base/mounting.js").Callbacks} Callbacks */
/** @typedef {import("../base/options").Options} Options */
/** @typedef {import("../picture/overview.js").Overview} Overview */

/** @type {Options} */
const DEFAULTS = {
  hide_special: false,
  hide_first: false,
  renormalise: false,
  words: false,
  by_norm: false,
  per_head_scale: false,
  threshold: 0.05,
  picture: "heatmap",
};

/** The explorer of the first frame, until the page's own has taken over what was chosen in it. @type {App | null} */
let early = null;

/** @extends {View<Data>} */
export class App extends View {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {import("../base/scale.js").Theme} */
  theme;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    this.selection = initial();
    this.options = { ...DEFAULTS };
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {import("../picture/matrix.js").Matrix | null} */
    this.matrix = null;
    /**
     * @type {{layer: number | string, head: import("../base/selection.js").Head} | null} head enlarged under the atlas
     */
    this.peek = null;
    /** @type {{axis: "query" | "key", index: number} | null} what the numbers were last about */
    this.subject = null;
    /** @type {import("../base/selection.js").Mark | null} the mark once it has rested: long lists move to it */
    this.rested = null;
    /** @type {import("../picture/overview.js").Token[]} */
    this.queries = [];
    /** @type {import("../picture/overview.js").Token[]} */
    this.keys = [];
    this.keyPositions = new Float64Array(0);
    /** How the numbers on screen were read: what Python was told when they were made. */
    this.read = { hidden: false, renormalised: false, words: false, shown: false };
    this.masks = false;
    this.headError = false;
    /** @type {{query: number | null, key: number | null} | null} a pin from outside, until its tokens are here */
    this.asked = null;
    this.level = 0;
    this.animation = 0;
    this.paintedAt = 0;
    /** True while new numbers were asked of Python. */
    this.expecting = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined;
    this.numbers = createNumbers(this);
    this.sync = createSync(this);
    this.following = createFollowing(this);
    this.frame = createFrame(this, data.css);
    this.listen();
    document.addEventListener("sightline:leaves", () => this.goOn(), { signal: this.life.signal });
  }

  get source() {
    return this.numbers.source;
  }

  get inline() {
    return this.numbers.inline;
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    if (data.first) early = this;
    this.expecting = false;
    mark(this.frame.explorer, "data-mode", data.mode ?? "full");
    this.frame.tour.allow(!data.given);
    this.frame.help.allowTour(!data.given);
    if (this.isNews(data.seed)) {
      this.numbers.renewed();
      this.options = { ...DEFAULTS, ...data.options };
      const { layer = 0, head = 0, query = null, key = null } = data.select ?? {};
      this.asked = { query, key };
      if (this.overview && data.key === this.numbers.shown) this.adopt(layer, head);
      else this.selection = { ...this.selection, layer, head };
    }
    this.sync.arrived();
    this.following.arrived();
    this.whenStyled(() => {
      this.retheme();
      if (data.key || data.packs) this.numbers.load();
      else this.frame.state.show(data.loading ? "loading" : "empty");
      this.frame.toolbar.draw();
      this.showBusy();
    });
  }

  /** Read the colours again; repaint everything only if they changed. */
  retheme() {
    if (!this.frame.probe.isConnected) return;
    const theme = readTheme(this.frame.probe);
    if (this.theme && JSON.stringify(theme) === JSON.stringify(this.theme)) return;
    this.theme = theme;
    this.request(3);
  }

  /**
   * New numbers are here: keep the choice, and the pin where its token is still the same.
   * @param {Overview} overview
   * @param {Data} data that named them
   */
  show(overview, data) {
    const { queries, keys, selection, read } = this;
    this.read = {
      hidden: Boolean(data.options?.hide_special || data.options?.hide_first),
      renormalised: Boolean(data.options?.renormalise),
      words: Boolean(data.options?.words),
      shown: true,
    };
    this.overview = overview;
    this.subject = this.peek = this.rested = null;
    const { masked } = codesOf(overview.heads);
    this.masks = overview.heads.includes(/** @type {never} */ (masked));
    const { layer, head } = overview.nearest(selection.layer, selection.head);
    if (!this.asked && selection.pin) {
      const sameTexts = read.words === this.read.words;
      this.asked = {
        query: carried(selection.pin.query, queries, overview.queries(layer), sameTexts),
        key: carried(selection.pin.key, keys, overview.keys(layer), sameTexts),
      };
    }
    this.adopt(layer, head);
    this.frame.state.show("ready");
    const touched = document.querySelector("#sl-first[data-touched]") !== null; // who acts already needs no tour
    if (data.mode !== "embed" && !data.first && !this.inline && !read.shown && !touched) this.frame.tour.offer();
  }

  /**
   * Take a choice from outside, with the pin that was asked for.
   * @param {number | string} layer
   * @param {import("../base/selection.js").Head} head
   */
  adopt(layer, head) {
    const overview = /** @type {Overview} */ (this.overview);
    const near = overview.nearest(layer, head);
    this.selection = initial(near.layer, near.head);
    this.tokensOf(near.layer);
    const query = positionOf(this.asked?.query ?? null, this.queries);
    const key = positionOf(this.asked?.key ?? null, this.keys);
    this.asked = null;
    this.selection.pin = query === null && key === null ? null : { query, key };
    this.numbers.open();
    this.sync.agree();
    this.request(3);
  }

  /** @param {number | string} layer */
  tokensOf(layer) {
    const overview = /** @type {Overview} */ (this.overview);
    this.queries = overview.queries(layer);
    this.keys = overview.keys(layer);
    this.keyPositions = Float64Array.from(this.keys, placeInText);
  }

  /** @param {number | string} layer @param {import("../base/selection.js").Head} head */
  choose(layer, head) {
    const { overview } = this;
    if (!overview?.has(layer, head)) return;
    const sameTokens = overview.queries(layer) === this.queries && overview.keys(layer) === this.keys;
    this.dispatch({ type: "choose", layer, head, keepPin: sameTokens });
  }

  /** @param {1 | -1} by */
  stepHead(by) {
    const groups = this.overview?.groups;
    const from = groups && placeOf(groups, this.selection.layer, this.selection.head);
    if (!groups || !from) return;
    const to = neighbour(groups, from, by);
    const { layer, head } = choiceAt(groups[to.group], to.row, to.col);
    this.choose(layer, head);
  }

  /** @param {import("../base/selection.js").Action} action */
  dispatch(action) {
    const before = this.selection;
    const after = reduce(before, action);
    if (after === before) return;
    this.selection = after;
    const another = after.layer !== before.layer || after.head !== before.head;
    if (another) {
      this.tokensOf(after.layer);
      this.numbers.open();
    } else this.numbers.lineLater();
    if (another || after.pin !== before.pin) this.sync.later();
    this.answer(another ? 2 : 1);
  }

  /** @template {keyof Options} Name @param {Name} name @param {Options[Name]} value */
  setOption(name, value) {
    if (this.options[name] === value) return;
    const options = { ...this.options, [name]: value };
    options.renormalise &&= options.hide_special || options.hide_first;
    this.options = options;
    if (AT_ONCE.has(name)) {
      this.sync.now();
      this.expect();
    } else this.sync.later();
    this.request(name === "per_head_scale" || name === "picture" ? 3 : 2);
  }

  /** The mark has rested: long lists move to it. */
  rest() {
    const mark = active(this.selection);
    if (mark === this.rested) return;
    this.rested = mark;
    this.request(1);
  }

  takeChoice() {
    return this.sync.take();
  }

  owes() {
    return this.sync.owes(TAKEN);
  }

  /** New numbers were asked of Python: the picture is dimmed until they come, but not for ever. */
  expect() {
    if (!this.callbacks.setState) return;
    this.expecting = true;
    this.showBusy();
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.expecting = false;
      this.showBusy();
    }, 8000);
  }

  showBusy() {
    mark(this.frame.explorer, "aria-busy", this.expecting || this.numbers.busy || Boolean(this.data.loading));
  }

  /** Repaint for something the reader did: at once, unless this frame was painted already. @param {number} level */
  answer(level) {
    this.level = Math.max(this.level, level);
    if (performance.now() - this.paintedAt < 8) return this.request(level);
    cancelAnimationFrame(this.animation);
    this.paint();
  }

  /** Ask for a repaint in the next frame. @param {number} level 3 everything, 2 another head, 1 another cell */
  request(level) {
    this.level = Math.max(this.level, level);
    if (!this.animation) this.animation = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { level, overview, matrix, selection, frame } = this;
    this.animation = this.level = 0;
    if (!overview || !matrix || !this.theme || !frame.host.isConnected) return;
    for (const part of frame.parts) part.draw(level);
    this.paintedAt = performance.now();
    const ready = `${overview.key}:${selection.layer}:${selection.head}`;
    mark(frame.host, "data-exact", matrix.meta ? matrix.quality : null);
    const [name, what] = this.data.first ? ["first", "sightline:first"] : ["ready", "sightline:painted"];
    if (frame.host.dataset[name] !== ready) {
      frame.host.dataset[name] = ready;
      announce(what);
    }
    this.showBusy();
    if (early && !early.frame.host.isConnected) this.goOn();
  }

  /** The first frame leaves, or has left: what was chosen in its picture goes on in this one. */
  goOn() {
    if (!early || early === this || !this.matrix) return;
    const focus = takeOver(early, this);
    early = null;
    this.level = 3;
    cancelAnimationFrame(this.animation);
    this.paint();
    focus();
  }

  /** How the numbers on screen were read. */
  hiding() {
    return this.read;
  }

  /** Pixels that a heatmap may be high, so that the first screen holds text, atlas and head. */
  heatmapHeight() {
    const width = this.frame.explorer.clientWidth;
    if (this.data.mode === "embed") return Math.max(window.innerHeight - 200, 240);
    return width < 720 ? Math.max(width * 1.15, 300) : Math.min(Math.max(window.innerHeight - 430, 340), 760);
  }

  landing() {
    if (this.data.first || !this.overview) return null;
    return this.frame.atlas.landing() ?? this.frame.heatmap.element.querySelector("[tabindex]");
  }

  focusHeatmap() {
    this.frame.heatmap.focus();
  }

  openHelp() {
    this.frame.help.open();
  }

  /** @param {HTMLButtonElement} button @param {HTMLElement} panel */
  popover(button, panel) {
    return popover(button, panel, this.life.signal);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const { frame, overview, selection } = this;
    if ((early && early !== this) || !this.hears(event) || !overview || frame.help.element.open) return;
    if (event.key === "Escape") this.dispatch({ type: "release" });
    else if (event.key === "?") this.openHelp();
    else if (event.key === "[") this.stepHead(-1);
    else if (event.key === "]") this.stepHead(1);
    else if (event.key === "m") this.choose(selection.layer, "mean");
    else if (event.key === "x") this.choose(selection.layer, "max");
    else if (!frame.heatmap.key(event.key)) return;
    event.preventDefault();
  }

  destroy() {
    super.destroy();
    if (early !== this) early = null; // whoever comes to this page once more begins with what Python knows
    this.sync.stop();
    this.numbers.stop();
    this.following.stop();
    clearTimeout(this.patience);
    cancelAnimationFrame(this.animation);
  }
}

/** Say that a picture is there: to whoever measures, and to the first frame. @param {string} what */
function announce(what) {
  performance.mark(what);
  document.dispatchEvent(new Event(what));
}

/**
 * Where a token stands in the text, in tokens; a word stands at the mean of its pieces.
 * @param {import("../picture/overview.js").Token} token
 */
function placeInText(token) {
  return token.p.reduce((a, b) => a + b, 0) / token.p.length;
}
