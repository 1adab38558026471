/**
 * The explorer's state and its parts: takes data, loads numbers, passes choices around, and asks for one repaint a frame.
 */
import { createAtlas } from "./atlas.js";
import { createTitle } from "./badge.js";
import { createDetails, subject } from "./details.js";
import { h, mark, settle, typing } from "./dom.js";
import { choiceAt, neighbour, placeOf } from "./grid.js";
import { createHeatmap } from "./heatmap.js";
import { createHelp } from "./help.js";
import { createLinks } from "./links.js";
import { fromHead, fromOverview } from "./matrix.js";
import { Overview } from "./overview.js";
import { createReadout } from "./readout.js";
import { readTheme } from "./scale.js";
import { active, initial, originalOf, positionOf, reduce } from "./selection.js";
import { createSentence } from "./sentence.js";
import { HttpSource, InlineSource, LostError } from "./source.js";
import { createState } from "./states.js";
import { AT_ONCE, createSync } from "./sync.js";
import { createToolbar } from "./toolbar.js";
import { createTour } from "./tour.js";
import { codesOf } from "./wire.js";

/** @typedef {import("./explorer.js").Data} Data */
/** @typedef {import("./explorer.js").Callbacks} Callbacks */

const DEFAULTS = { hide_special: false, hide_first: false, renormalise: false, words: false, per_head_scale: false, threshold: 0.05, picture: "heatmap" };
/** Heads whose numbers are kept ready. */
const KEPT = 24;

export class App {
  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {Callbacks} */
    this.callbacks = {};
    this.selection = initial();
    /** @type {Record<string, any>} */
    this.options = { ...DEFAULTS };
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {import("./matrix.js").Matrix | null} */
    this.matrix = null;
    /** @type {Map<string, import("./matrix.js").Matrix>} */
    this.matrices = new Map();
    /** @type {(HttpSource | InlineSource) | null} */
    this.source = null;
    /** @type {import("./scale.js").Theme} */
    this.theme = /** @type {any} */ (null);
    /** @type {{layer: number | string, head: number | "mean" | "max"} | null} head enlarged under the atlas */
    this.peek = null;
    /** @type {{axis: "query" | "key", index: number} | null} what the numbers were last about */
    this.subject = null;
    /** @type {import("./selection.js").Mark | null} the mark once it has rested: long lists move to it */
    this.rested = null;
    /** @type {any} the mark that the links were scrolled to */
    this.revealed = null;
    this.inline = false;
    this.masks = false;
    this.headError = false;
    /** @type {import("./overview.js").Token[]} */
    this.queries = [];
    /** @type {import("./overview.js").Token[]} */
    this.keys = [];
    this.keyPositions = new Float64Array(0);
    /** @type {string | null} the numbers on screen */
    this.key = null;
    /** @type {string | null} the numbers that are being fetched */
    this.wanted = null;
    /** @type {number | null} */
    this.seed = null;
    /** @type {{query: number | null, key: number | null} | null} a pin from outside, until its tokens are here */
    this.asked = null;
    this.level = 0;
    this.frame = 0;
    this.chosenAt = 0;
    this.paintedAt = 0;
    this.life = new AbortController();
    this.sync = createSync(this);
    this.styled = this.build(data);
    this.lineLater = settle(60, () => {
      this.rested = active(this.selection);
      if (this.matrix && Math.max(this.matrix.nQuery, this.matrix.nKey) > 20) this.request(1);
      this.loadLine();
    });
    this.headLater = settle(110, () => this.loadHead());
  }

  /** Make the elements. @param {Data} data @returns {Promise<void>} when the style sheet is there */
  build(data) {
    const sheet = data.css ? h("style", null, data.css) : h("link", { rel: "stylesheet", href: new URL("../css/explorer.css", import.meta.url).href });
    this.probe = h("span", { class: "sl-probe", "aria-hidden": "true" });
    this.explorer = h("div", { class: "sl-explorer" });
    this.host = h("div", { class: "sl-root", style: "visibility: hidden" }, this.probe, this.explorer);
    this.tour = createTour(this.host);
    this.help = createHelp({ startTour: () => this.tour.start() });
    this.state = createState(() => this.retry());
    this.toolbar = createToolbar(this);
    const [atlas, title, heatmap, readout, links, sentence, details] = [
      createAtlas(this), createTitle(this), createHeatmap(this), createReadout(this), createLinks(this), createSentence(this), createDetails(this),
    ];
    this.heatmap = heatmap;
    this.parts = [this.toolbar, title, heatmap, readout, links, sentence, details, atlas];
    const tabs = createTabs(this);
    this.parts.push(tabs);
    const one = h(
      "section",
      { class: "sl-one", "aria-label": "One head" },
      title.element,
      tabs.element,
      h("div", { class: "sl-pictures" }, h("div", { class: "sl-left" }, heatmap.element, readout.element), links.element),
      sentence.element,
    );
    this.body = h("div", { class: "sl-body" }, atlas.element, one, details.element);
    this.explorer.append(this.tour.element, this.state.element, this.toolbar.element, this.body, this.help.element);
    this.root.append(sheet, this.host);
    const { signal } = this.life;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme(), { signal });
    this.resizer = new ResizeObserver(() => this.request(3));
    this.resizer.observe(this.explorer);
    if (data.css) return Promise.resolve();
    return new Promise((resolve) => {
      sheet.onload = sheet.onerror = () => resolve();
      setTimeout(resolve, 3000);
    });
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    mark(this.explorer, "data-mode", data.mode ?? "full");
    if (data.seed !== this.seed) {
      this.seed = data.seed;
      this.options = { ...DEFAULTS, ...data.options };
      const { layer = 0, head = 0, query = null, key = null } = data.select ?? {};
      this.asked = { query, key };
      if (this.overview && data.key === this.key) this.adopt(layer, head);
      else this.selection = { ...this.selection, layer, head };
    }
    this.sync.arrived();
    this.styled.then(() => {
      if (this.life.signal.aborted) return;
      this.host.style.visibility = "";
      this.retheme();
      if (!data.key && !data.packs) this.state.show(data.loading ? "loading" : "empty");
      else this.load();
      mark(this.explorer, "aria-busy", Boolean(data.loading));
      this.toolbar.draw();
    });
  }

  /** Read the colours again; a repaint of everything only if they changed. */
  retheme() {
    if (!this.probe?.isConnected) return;
    const theme = readTheme(this.probe);
    if (this.theme && JSON.stringify(theme) === JSON.stringify(this.theme)) return;
    this.theme = theme;
    this.request(3);
  }

  /** Fetch the overview of the numbers that the data names. */
  async load() {
    const name = this.data.key ?? "inline";
    if (name === this.wanted || (name === this.key && this.wanted === null)) return;
    this.wanted = name;
    if (!this.overview) this.state.show("loading");
    const base = this.data.base ?? new URL(`sightline/data/${encodeURIComponent(name)}/`, document.baseURI).href;
    const source = this.data.packs ? new InlineSource(this.data.packs) : new HttpSource(base, { onLost: () => this.callbacks.setTrigger?.("lost", name) });
    const asked = { hidden: Boolean(this.data.options?.hide_special || this.data.options?.hide_first), renormalised: Boolean(this.data.options?.renormalise) };
    try {
      const overview = new Overview(name, await source.overview());
      if (this.wanted !== name || this.life.signal.aborted) return;
      this.wanted = null;
      this.show(name, source, overview, asked);
    } catch (error) {
      if (this.wanted !== name || this.life.signal.aborted) return;
      this.wanted = null;
      this.state.show(error instanceof LostError ? "lost" : "error", /** @type {Error} */ (error).message);
    }
  }

  /** New numbers are here: keep the choice, and the pin where its token is still the same. @param {string} name @param {HttpSource | InlineSource} source @param {Overview} overview @param {{hidden: boolean, renormalised: boolean}} asked */
  show(name, source, overview, asked) {
    const before = { queries: this.queries, keys: this.keys, pin: this.selection.pin, words: this.shownWords };
    this.shownWords = Boolean(this.data.options?.words);
    this.key = name;
    this.source = source;
    this.inline = source instanceof InlineSource;
    this.overview = overview;
    this.asRead = asked;
    this.matrices.clear();
    this.subject = null;
    this.peek = null;
    const { masked } = codesOf(overview.heads);
    this.masks = overview.heads.includes(/** @type {never} */ (masked));
    const { layer, head } = overview.nearest(this.selection.layer, this.selection.head);
    if (!this.asked && before.pin) {
      const still = (/** @type {number | null} */ at, /** @type {any[]} */ old, /** @type {any[]} */ now) => {
        const index = originalOf(at, old);
        const to = positionOf(index, now);
        return to !== null && (before.words !== this.shownWords || now[to].t === old[/** @type {number} */ (at)].t) ? index : null;
      };
      this.asked = { query: still(before.pin.query, before.queries, overview.queries(layer)), key: still(before.pin.key, before.keys, overview.keys(layer)) };
    }
    this.adopt(layer, head);
    this.state.show("ready");
    if (this.data.mode !== "embed") this.tour.offer();
  }

  /** Take a choice from outside, with the pin that was asked for. @param {any} layer @param {any} head */
  adopt(layer, head) {
    const overview = /** @type {Overview} */ (this.overview);
    const near = overview.nearest(layer, head);
    this.selection = { ...initial(near.layer, near.head) };
    this.tokensOf(near.layer);
    const query = positionOf(this.asked?.query ?? null, this.queries);
    const key = positionOf(this.asked?.key ?? null, this.keys);
    this.asked = null;
    this.selection.pin = query === null && key === null ? null : { query, key };
    this.open();
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

  /** @param {number | string} layer @param {number | "mean" | "max"} head */
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

  /** @param {import("./selection.js").Action} action */
  dispatch(action) {
    const before = this.selection;
    const after = reduce(before, action);
    if (after === before) return;
    this.selection = after;
    const another = after.layer !== before.layer || after.head !== before.head;
    if (another) {
      if (typeof after.layer !== typeof before.layer || after.layer !== before.layer) this.tokensOf(after.layer);
      this.open();
    }
    if (another || after.pin !== before.pin) this.sync.later();
    if (!another) this.lineLater();
    this.answer(another ? 2 : 1);
  }

  /** Repaint for something the reader did: at once, unless this frame was painted already. @param {number} level */
  answer(level) {
    this.level = Math.max(this.level, level);
    if (performance.now() - this.paintedAt < 8) return this.request(level);
    cancelAnimationFrame(this.frame);
    this.paint();
  }

  /** @param {string} name @param {any} value */
  setOption(name, value) {
    if (this.options[name] === value) return;
    this.options = { ...this.options, [name]: value };
    if (name === "renormalise" || !(this.options.hide_special || this.options.hide_first)) this.options.renormalise &&= this.options.hide_special || this.options.hide_first;
    if (AT_ONCE.has(name)) {
      this.sync.now();
      mark(this.explorer, "aria-busy", true);
    } else this.sync.later();
    this.request(name === "per_head_scale" || name === "picture" ? 3 : 2);
  }

  /** Show the chosen head with what is known, and ask for its own numbers. */
  open() {
    const { layer, head } = this.selection;
    const name = `${layer}/${head}`;
    this.headError = false;
    this.matrix = this.matrices.get(name) ?? fromOverview(this.overview, layer, head);
    if (this.matrix) this.keep(name, this.matrix);
    if (!this.matrix?.meta) {
      const hurried = performance.now() - this.chosenAt < 110;
      this.chosenAt = performance.now();
      if (hurried) this.headLater();
      else {
        this.headLater.cancel();
        this.loadHead();
      }
    }
    this.lineLater();
  }

  /** @param {string} name @param {import("./matrix.js").Matrix} matrix */
  keep(name, matrix) {
    this.matrices.delete(name);
    this.matrices.set(name, matrix);
    if (this.matrices.size > KEPT) this.matrices.delete(/** @type {string} */ (this.matrices.keys().next().value));
  }

  async loadHead() {
    const { source, overview, selection: { layer, head } } = this;
    if (!source || !overview) return;
    const here = () => this.overview === overview && this.selection.layer === layer && this.selection.head === head;
    try {
      const pack = await source.head(layer, head);
      if (!pack || this.overview !== overview) return;
      const matrix = fromHead(pack, fromOverview(overview, layer, head));
      this.keep(`${layer}/${head}`, matrix);
      if (!here()) return;
      this.matrix = matrix;
      this.lineLater();
      this.request(2);
    } catch (error) {
      if (!here()) return;
      if (error instanceof LostError) this.state.show("lost", error.message);
      else {
        this.headError = true;
        this.toolbar.tell(/** @type {Error} */ (error).message, 12000);
        this.request(2);
      }
    }
  }

  /** The exact line of what is marked (or of what the numbers are about), once the pointer rests. */
  async loadLine() {
    const { source, matrix, overview, selection } = this;
    if (!source || !matrix || !overview || matrix.weights) return;
    const now = active(selection);
    if (!now && matrix.single) return;
    const { axis, index } = now ? { axis: /** @type {"query" | "key"} */ (now.query !== null ? "query" : "key"), index: /** @type {number} */ (now.query ?? now.key) } : subject(this);
    if (matrix.lines.has(`${axis}:${index}`)) return;
    try {
      const pack = await source.line(selection.layer, selection.head, axis, index);
      if (!pack) return;
      const { weights, scores } = pack.arrays;
      // The head's own numbers may have come in between: the line belongs to whatever is on screen for this head now.
      const to = this.matrices.get(`${selection.layer}/${selection.head}`);
      if (this.overview !== overview || !to) return;
      to.lines.set(`${axis}:${index}`, { weights: /** @type {Float32Array} */ (weights.data), scores: scores ? /** @type {Float32Array} */ (scores.data) : null });
      if (to === this.matrix) this.request(1);
    } catch {
      // The rounded value stays on screen; the next rest of the pointer asks again.
    }
  }

  retry() {
    this.wanted = null;
    this.key = null;
    this.load();
  }

  /** Ask for a repaint. @param {number} level 3 everything, 2 another head, 1 another cell */
  request(level) {
    this.level = Math.max(this.level, level);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.frame = 0;
    const { level, overview, matrix } = this;
    this.level = 0;
    if (!overview || !matrix || !this.theme || !this.host.isConnected) return;
    for (const part of this.parts) part.draw(level);
    this.paintedAt = performance.now();
    const ready = `${this.key}:${this.selection.layer}:${this.selection.head}`;
    mark(this.host, "data-exact", matrix.meta ? matrix.quality : null);
    if (this.host.dataset.ready !== ready) {
      this.host.dataset.ready = ready;
      performance.mark("sightline:painted");
    }
    if (this.data.key === this.key && !this.data.loading) mark(this.explorer, "aria-busy", false);
  }

  /** How the numbers on screen were read. */
  hiding() {
    return this.asRead ?? { hidden: false, renormalised: false };
  }

  /** Pixels that a heatmap may be high. */
  heatmapHeight() {
    const width = this.explorer.clientWidth;
    if (this.data.mode === "embed") return Math.max(window.innerHeight - 130, 240);
    return width < 720 ? Math.max(width * 1.15, 300) : Math.min(Math.max(window.innerHeight * 0.62, 380), 720);
  }

  focusHeatmap() {
    this.heatmap.focus();
  }

  openHelp() {
    this.help.open();
  }

  /** A button that opens a panel: closed by itself, Escape, or a click elsewhere. @param {HTMLButtonElement} button @param {HTMLElement} panel */
  popover(button, panel) {
    const set = (/** @type {boolean} */ open) => {
      panel.hidden = !open;
      mark(button, "aria-expanded", String(open));
    };
    button.onclick = () => set(panel.hidden);
    const { signal } = this.life;
    document.addEventListener("pointerdown", (event) => {
      if (!panel.hidden && !event.composedPath().includes(/** @type {Node} */ (button.parentElement))) set(false);
    }, { signal });
    panel.onkeydown = button.onkeydown = (event) => {
      if (event.key !== "Escape" || panel.hidden) return;
      event.stopPropagation();
      set(false);
      button.focus();
    };
    return () => set(false);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (!this.host.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event) || !this.overview) return;
    const { layer } = this.selection;
    if (event.key === "Escape") this.dispatch({ type: "release" });
    else if (event.key === "?") this.openHelp();
    else if (event.key === "[") this.stepHead(-1);
    else if (event.key === "]") this.stepHead(1);
    else if (event.key === "m") this.choose(layer, "mean");
    else if (event.key === "x") this.choose(layer, "max");
    else if (!this.heatmap.key(event.key)) return;
    event.preventDefault();
  }

  destroy() {
    this.life.abort();
    this.sync.stop();
    this.lineLater.cancel();
    this.headLater.cancel();
    this.resizer?.disconnect();
    cancelAnimationFrame(this.frame);
    this.host.previousElementSibling?.remove();
    this.host.remove();
  }
}

/** Where a token stands in the text, in tokens; a word stands at the mean of its pieces. @param {import("./overview.js").Token} token */
function placeInText(token) {
  return token.p.reduce((a, b) => a + b, 0) / token.p.length;
}

/** Which of the three pictures a narrow screen shows. @param {App} app */
function createTabs(app) {
  const names = ["heatmap", "links", "sentence"];
  const buttons = names.map((name) => h("button", { type: "button", onclick: () => app.setOption("picture", name) }, name));
  const element = h("div", { class: "sl-tabs", role: "group", "aria-label": "Picture" }, ...buttons);
  return {
    element,
    draw() {
      mark(app.explorer, "data-picture", app.options.picture);
      buttons.forEach((button, i) => mark(button, "aria-pressed", String(app.options.picture === names[i])));
    },
  };
}

