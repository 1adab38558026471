/**
 * Every head of the model on one text: a table, a map and a scatter with one selection, and what the chosen head does.
 *
 * Nothing is computed here but order and place: every number comes from the core, under the name that it has there.
 * `render` works in any page; the default export is what a components-v2 mount calls.
 *
 * @typedef {object} Select
 * @property {number | string} layer  @property {number | string} head
 * @property {number | null} query    @property {number | null} key
 * @property {string} metric  of the map   @property {string} metric_x  @property {string} metric_y  of the scatter
 * @property {string} sort    see heads-data.parseSort      @property {string} only  see heads-data.parseOnly
 *
 * @typedef {object} Data
 * @property {string} key      names the numbers under the data routes
 * @property {number} seed     when it changes, `select` is taken from here
 * @property {Select} select
 * @property {string | null} link   of this view
 * @property {boolean} hidden       @property {boolean} renormalised   how the small picture is read
 * @property {boolean} by_norm      every number is of ‖a·v·W_O‖, not of the weights   @property {boolean} can_by_norm
 * @property {boolean} [large]
 *
 * @typedef {import("./mounting.js").Callbacks} Callbacks
 *
 * @typedef {import("./scale.js").Theme & {diverging: import("./scale.js").Rgb[]}} HeadsTheme
 */
import { h, mark, say, settle } from "./dom.js";
import { ALL, filtered, Heads, LOOK, letters, parseOnly, parseSort, sorted, writeOnly, writeSort } from "./heads-data.js";
import { createAcross } from "./heads-across.js";
import { createFilter, createStatus } from "./heads-filter.js";
import { createFind } from "./heads-find.js";
import { createMap } from "./heads-map.js";
import { createPanel } from "./heads-panel.js";
import { createReading } from "./heads-reading.js";
import { createScatter } from "./heads-scatter.js";
import { createTable } from "./heads-table.js";
import { createTip } from "./heads-tip.js";
import { createWrites } from "./heads-writes.js";
import { appRoot, mounting } from "./mounting.js";
import { Overview } from "./overview.js";
import { readTheme } from "./scale.js";
import { HttpSource, LostError } from "./source.js";
import { createState } from "./states.js";
import { readColours } from "./steps-strip.js";
import { quoted } from "./words.js";

const PATIENCE = 3000;
/** How often the labels are asked for while they are made, ms. */
const ASK_AGAIN = 1000;

export class HeadsView {
  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {Callbacks} */
    this.callbacks = {};
    /** @type {Heads} */
    this.heads = /** @type {any} */ (null);
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {number | null} */
    this.selected = null;
    /** @type {number | null} */
    this.hovered = null;
    this.metric = "";
    this.metric_x = "";
    this.metric_y = "";
    this.sort = { by: "head", down: false };
    this.only = { ...ALL };
    this.byNorm = false;
    /** The heads that the filter leaves, in the order of the table. @type {number[]} */
    this.shown = [];
    /** @type {{query: number | null, key: number | null}} */
    this.pair = { query: null, key: null };
    /** The pair that the look is of: another one while its numbers are on their way. */
    this.lookOf = this.pair;
    /** Why there is no look at the pair; "" if there is, or none is wanted. */
    this.lookFailed = "";
    /** The group of layers whose tokens the pair is of. */
    this.group = 0;
    /** @type {{of: number, heads: {i: number, distance: number}[], says: string} | null} */
    this.alike = null;
    /** How far the labels are. @type {{state: string, done: number, total: number, says?: string}} */
    this.told = { state: "working", done: 0, total: 0 };
    /** @type {HeadsTheme} */
    this.theme = /** @type {any} */ (null);
    /** @type {HttpSource | null} */
    this.source = null;
    this.sourceKey = "";
    this.shownKey = "";
    this.wanted = "";
    /** @type {number | null} */
    this.seed = null;
    this.reported = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.asking = undefined;
    this.life = new AbortController();
    this.report = settle(300, () => this.send());
    this.alikeLater = settle(120, () => this.loadAlike());
    this.writesLater = settle(120, () => this.writes?.draw());
    this.build();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme(), { signal: this.life.signal });
  }

  build() {
    const sheets = ["explorer.css", "heads.css"].map((name) => h("link", { rel: "stylesheet", href: new URL(`../css/${name}`, import.meta.url).href }));
    this.probe = h("span", { class: "sl-probe", "aria-hidden": "true" });
    this.live = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite", "data-testid": "sl-heads-live" });
    this.view = h("div", { class: "sl-heads" });
    this.host = h("div", { class: "sl-root sl-heads-root", style: "visibility: hidden" }, this.probe, this.view, this.live);
    this.tip = createTip(this.host);
    this.state = createState(() => this.again());
    this.status = createStatus(this);
    this.reading = createReading(this);
    this.map = createMap(this);
    this.scatter = createScatter(this);
    this.find = createFind(this);
    this.filter = createFilter(this);
    this.table = createTable(this);
    this.panel = createPanel(this);
    this.across = createAcross(this);
    this.writes = createWrites(this);
    const hint = h("p", { class: "sl-second sl-heads-hint" }, "One click chooses a head everywhere on this page; a second click, Enter or its name in the table opens it in Explore.");
    const plots = h("div", { class: "sl-heads-plots" }, this.map.element, this.scatter.element);
    const numbers = h("div", { class: "sl-heads-numbers" }, this.filter.element, this.table.element);
    const body = h("div", { class: "sl-heads-body" }, h("div", { class: "sl-heads-top" }, this.status.element, this.reading.element, hint), plots, this.find.element, numbers, this.across.element, this.writes.element, this.panel.element);
    this.view.append(this.state.element, body);
    this.root.append(...sheets, this.host);
    this.sheets = sheets;
    this.state.show("loading", "Every metric is computed for every head.");
    this.styled = Promise.all(sheets.map((sheet) => new Promise((/** @type {(value?: any) => void} */ resolve) => {
      sheet.onload = sheet.onerror = () => resolve();
      setTimeout(resolve, PATIENCE);
    })));
    let width = 0;
    this.resizer = new ResizeObserver(() => {
      const now = this.view.clientWidth;
      if (now === width) return;
      width = now;
      this.draw();
    });
    this.resizer.observe(this.view);
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    const another = data.key !== this.sourceKey;
    if (another) {
      const base = new URL(`sightline/data/${encodeURIComponent(data.key)}/`, appRoot()).href;
      this.source = new HttpSource(base, { onLost: () => this.callbacks.setTrigger?.("lost", data.key) });
      this.sourceKey = data.key;
      this.shownKey = "";
    } else if (this.source?.lost) {
      this.source.lost = false;
      this.shownKey = "";
    }
    const fromPython = data.seed !== this.seed;
    this.seed = data.seed;
    this.styled.then(() => {
      if (this.life.signal.aborted) return;
      this.host.style.visibility = "";
      this.readTheme();
      if (!this.shownKey) this.load();
      else if (fromPython) this.adopt();
      else this.draw();
    });
  }

  readTheme() {
    const theme = /** @type {HeadsTheme} */ (readTheme(this.probe));
    theme.diverging = readColours(this.probe).signed;
    this.theme = theme;
  }

  retheme() {
    if (!this.probe.isConnected) return;
    this.readTheme();
    this.draw();
  }

  /** Fetch the numbers of this text. */
  async load() {
    const { source, sourceKey } = this;
    if (!source || this.wanted === sourceKey) return;
    this.wanted = sourceKey;
    mark(this.view, "aria-busy", true);
    const here = () => this.sourceKey === sourceKey && !this.life.signal.aborted;
    try {
      const pack = await source.pack("heads");
      if (!here()) return;
      const cards = this.heads && sameModel(this.heads, pack) ? this.heads.cards : null;
      this.heads = new Heads(pack);
      this.heads.cards = cards;
      this.overview = null;
      this.alike = null;
      this.shownKey = sourceKey;
      this.state.show("ready");
      this.adopt();
      this.askLabels();
      const overview = await source.overview();
      if (!here()) return;
      this.overview = new Overview(sourceKey, overview);
      this.panel.draw();
    } catch (error) {
      if (!here()) return;
      this.state.show(error instanceof LostError ? "lost" : "error", /** @type {Error} */ (error).message);
    } finally {
      if (this.wanted === sourceKey) {
        this.wanted = "";
        mark(this.view, "aria-busy", false);
      }
    }
  }

  again() {
    if (this.source) this.source.lost = false;
    this.shownKey = "";
    this.load();
  }

  /** Take the choice that Python has: on opening, and when something outside changed it. */
  adopt() {
    const { heads, data } = this;
    const { select } = data;
    const known = (/** @type {string} */ name) => name === LOOK || Boolean(heads.metric(name));
    const metric = (/** @type {string} */ name, /** @type {string} */ other) => (known(name) ? name : other);
    this.metric = metric(select.metric, "previous");
    this.metric_x = metric(select.metric_x, "entropy");
    this.metric_y = metric(select.metric_y, "previous");
    this.sort = parseSort(select.sort, known);
    this.only = parseOnly(select.only, known);
    this.byNorm = data.by_norm;
    this.selected = heads.indexOf(select.layer, select.head);
    this.group = heads.groupOf(this.selected);
    const { queries, keys } = heads.layers[heads.groups[this.group].layers[0]];
    const inside = (/** @type {number | null} */ at, /** @type {string} */ side) => (at !== null && at < heads.tokens[side].length ? at : null);
    this.pair = { query: inside(select.query, queries), key: inside(select.key, keys) };
    this.reported = JSON.stringify(this.choice());
    this.find?.adopt();
    heads.setLook(null);
    this.hovered = null;
    if (this.selected !== null) this.alikeLater();
    this.loadLook().then(() => this.draw());
    this.draw();
  }

  // --- choosing

  /** @param {number} i @param {string} from  the part in which it was chosen */
  choose(i, from) {
    if (i === this.selected) return;
    this.selected = i;
    const group = this.heads.groupOf(i);
    if (group !== this.group && this.pair.query === null && this.pair.key === null) this.group = group;
    this.alikeLater();
    this.marks(from);
    this.panel.draw();
    this.writesLater();
    this.announce(this.says(i));
    this.report();
  }

  /** @param {number | null} i @param {string} from */
  hover(i, from) {
    if (i === this.hovered) return;
    this.hovered = i;
    for (const part of [this.map, this.scatter, this.table]) part.marks("hover");
    mark(this.view, "data-hovers", i === null ? null : from);
  }

  /** Open a head in the explorer, with the choice told first. @param {number} i */
  open(i) {
    this.selected = i;
    this.marks("open");
    this.report.cancel();
    this.send();
    this.callbacks.setTrigger?.("explore", Date.now());
  }

  /** @param {"metric" | "metric_x" | "metric_y"} which @param {string} name */
  setMetric(which, name) {
    this[which] = name;
    this.report();
    this.draw();
  }

  /** Python answers with other numbers. @param {boolean} byNorm */
  setByNorm(byNorm) {
    this.byNorm = byNorm;
    this.reading.draw();
    this.report.cancel();
    this.send();
  }

  /** @param {{by: string, down: boolean}} sort */
  setSort(sort) {
    this.sort = sort;
    this.report();
    this.draw();
    const column = sort.by === "head" || sort.by === "label" ? sort.by : this.heads.metric(sort.by)?.title;
    this.announce(`sorted by ${column}, ${sort.down ? "descending" : "ascending"}`);
  }

  /** @param {import("./heads-data.js").Only} only */
  setOnly(only) {
    this.only = { ...only };
    this.report();
    this.draw();
    this.announce(`${this.shown.length} of ${this.heads.n} heads`);
  }

  /** @param {number} group  of layers */
  setGroup(group) {
    this.group = group;
    this.setPair({ query: null, key: null });
  }

  /** The two tokens of "look from … to …". @param {{query: number | null, key: number | null}} pair */
  async setPair(pair) {
    const first = !this.heads.look;
    this.pair = pair;
    this.report();
    const looked = this.loadLook();
    this.find.draw();
    await looked;
    if (this.pair !== pair) return; // another one is on its way
    const { heads } = this;
    if (heads.look && first) {
      this.metric = LOOK;
      this.sort = { by: LOOK, down: true };
    }
    if (!heads.look) {
      for (const which of /** @type {const} */ (["metric", "metric_x", "metric_y"])) if (this[which] === LOOK) this[which] = { metric: "previous", metric_x: "entropy", metric_y: "previous" }[which];
      if (this.sort.by === LOOK) this.sort = { by: "head", down: false };
      if (this.only.metric === LOOK) this.only = { ...this.only, metric: "", least: 0 };
    }
    this.report();
    this.draw();
  }

  /** Follow another token across the layers: the one that looks. @param {number} query @param {string} id  of a group */
  follow(query, id) {
    const group = this.heads.groups.findIndex((one) => one.id === id);
    if (group !== this.group) {
      this.group = group;
      this.setPair({ query, key: null });
    } else this.setPair({ ...this.pair, query });
  }

  /**
   * The token that is followed: the one that looks, else the last that is not special.
   *
   * @param {string} id  of a group of layers @param {boolean} [sameSide]  another group with the same tokens will do
   */
  followed(id, sameSide = false) {
    const { heads, pair, group } = this;
    const side = (/** @type {{layers: number[]}} */ one) => heads.layers[one.layers[0]].queries;
    const own = heads.groups.findIndex((one) => one.id === id);
    const words = heads.tokens[side(heads.groups[own])];
    const fits = own === group || (sameSide && side(heads.groups[own]) === side(heads.groups[group]));
    if (fits && pair.query !== null && pair.query < words.length) return pair.query;
    const plain = words.findLastIndex((word) => !word.s);
    return plain < 0 ? words.length - 1 : plain;
  }

  /** The two words as they are written. */
  pairTokens() {
    const { heads, pair } = this;
    const layer = heads.layers[heads.groups[this.group].layers[0]];
    const word = (/** @type {string} */ side, /** @type {number | null} */ at) => (at === null ? null : heads.tokens[side][at]?.word ?? null);
    return { query: word(layer.queries, pair.query), key: word(layer.keys, pair.key) };
  }

  // --- what comes later

  /** The weight between the two chosen tokens, in every head. */
  async loadLook() {
    const { heads, source, pair, group } = this;
    this.lookFailed = "";
    if (pair.query === null || pair.key === null || !source) {
      heads.setLook(null);
      return;
    }
    try {
      const pack = await source.pack(`heads/between/${encodeURIComponent(heads.groups[group].all).replaceAll("%3A", ":")}/${pair.query}/${pair.key}`);
      if (this.heads !== heads || this.pair !== pair) return;
      const { query, key } = this.pairTokens();
      this.lookOf = pair;
      heads.setLook(pack, `${query} → ${key}`, `${this.data.by_norm ? "Share of ‖a·v·W_O‖" : "Weight"} with which ${quoted(query ?? "")} (token ${pair.query}) looks at ${quoted(key ?? "")} (token ${pair.key})${pieces(pack.meta)}.`, this.data.by_norm ? "‖a·v·W_O‖" : "attention");
    } catch (error) {
      if (this.heads !== heads || this.pair !== pair) return;
      heads.setLook(null);
      this.lookFailed = /** @type {Error} */ (error).message;
      this.announce(this.lookFailed);
    }
  }

  /** Heads that behave like the chosen one. */
  async loadAlike() {
    const { heads, source, selected } = this;
    if (selected === null || !source || this.alike?.of === selected) return;
    const { layer, head } = heads.places[selected];
    try {
      const { meta } = await source.pack(`heads/like/${layer}/${head}`);
      if (this.heads !== heads || this.selected !== selected) return;
      const found = meta.heads.map((/** @type {any} */ one) => ({ i: heads.indexOf(one.layer, one.head), distance: one.distance })).filter((/** @type {any} */ one) => one.i !== null);
      this.alike = { of: selected, heads: found, says: meta.says };
      this.panel.draw();
    } catch {
      // The panel keeps its dots; the numbers of the text are more important, and they say what is wrong.
    }
  }

  /** Ask for the labels until they are there: they belong to the model, not to the text. */
  async askLabels() {
    clearTimeout(this.asking);
    const { source, heads } = this;
    if (!source) return;
    let told;
    try {
      told = await (await source.answer("heads/labels")).json();
    } catch (error) {
      if (error instanceof LostError) return;
      told = { state: "failed", done: 0, total: 0, says: `No labels: ${/** @type {Error} */ (error).message}` };
    }
    if (this.heads !== heads || this.life.signal.aborted) return;
    this.told = told;
    if (told.state === "working") {
      this.status.draw();
      this.asking = setTimeout(() => this.askLabels(), ASK_AGAIN);
      return;
    }
    if (told.cards) heads.cards = heads.places.map(({ layer, head }) => told.cards[`${layer}.${head}`] ?? null);
    this.draw();
  }

  get labelling() {
    return this.told.state === "working";
  }

  /** The letter of a label. @param {string} label */
  letter(label) {
    return letters(this.heads.labels).get(label) ?? "•";
  }

  // --- telling Python

  choice() {
    const { heads, selected, pair, metric, metric_x, metric_y, sort, only, byNorm } = this;
    const place = selected === null ? null : heads.places[selected];
    const own = place === null || heads.groupOf(selected) === this.group; // a pair of other tokens would mean something else
    return {
      ...(place ? { layer: place.layer, head: place.head } : {}),
      query: own ? pair.query : null,
      key: own ? pair.key : null,
      metric,
      metric_x,
      metric_y,
      sort: writeSort(sort),
      only: writeOnly(only),
      by_norm: byNorm,
    };
  }

  send() {
    const choice = this.choice();
    const text = JSON.stringify(choice);
    if (text === this.reported) return;
    this.reported = text;
    this.callbacks.setState?.("view", choice);
  }

  /** Where a head's link leads: this view's link with that head, on the first page. @param {number} i */
  address(i) {
    const { layer, head } = this.heads.places[i];
    const params = new URLSearchParams(this.data.link ?? "");
    params.set("l", String(layer));
    params.set("h", String(head));
    return new URL(`?${params}`, appRoot()).href;
  }

  /** A head in one sentence, for those who do not see the page. @param {number} i */
  says(i) {
    const { heads, metric } = this;
    const label = heads.label(i) ? `, ${heads.cards?.[i]?.title}` : heads.cards ? ", unlabelled" : "";
    const value = heads.value(metric, i);
    return `${heads.titleOf(i)}${label}; ${heads.metric(metric)?.title} ${value === value ? value.toFixed(2) : "has no meaning here"}`;
  }

  /** @param {string} text */
  announce(text) {
    say(/** @type {Node} */ (this.live), text);
  }

  // --- drawing

  draw() {
    if (!this.heads || !this.theme || !this.shownKey || !this.host?.isConnected) return;
    this.shown = order(this);
    for (const part of [this.status, this.reading, this.map, this.scatter, this.find, this.filter, this.table, this.panel, this.across, this.writes]) part.draw();
    this.host.dataset.ready = `${this.shownKey}:${this.heads.cards ? "labels" : this.told.state}`;
  }

  /** The selection has moved; nothing else has. @param {string} from */
  marks(from) {
    for (const part of [this.map, this.scatter, this.find, this.table]) part.marks(from);
  }

  destroy() {
    this.life.abort();
    this.report.cancel();
    this.alikeLater.cancel();
    this.writesLater.cancel();
    clearTimeout(this.asking);
    this.resizer?.disconnect();
    for (const sheet of this.sheets ?? []) sheet.remove();
    this.host?.remove();
  }
}

/** @param {HeadsView} view */
function order({ heads, only, sort }) {
  return sorted(heads, filtered(heads, only), sort);
}

/** What several pieces of a word mean. @param {Record<string, any>} meta */
function pieces({ queries, keys }) {
  const parts = [];
  if (keys.length > 1) parts.push(`summed over its ${keys.length} pieces`);
  if (queries.length > 1) parts.push(`averaged over the ${queries.length} pieces that look`);
  return parts.length ? `, ${parts.join(" and ")}` : "";
}

/** True if the heads are the same ones, so that their labels still hold. @param {Heads} heads @param {import("./wire.js").Pack} pack */
function sameModel(heads, { meta }) {
  return heads.model === meta.model.id;
}

const { render, mount } = mounting(HeadsView);
export { render, mount as default };
