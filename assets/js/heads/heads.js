/**
 * Every head of the model on one text: a table, a map and a scatter with one selection, and what the chosen head does.
 *
 * Nothing is computed here but order and place: every number comes from the core, under the name that it has there.
 * `render` works in any page; the default export is what a components-v2 mount calls.
 *
 * @typedef {import("./told").Data} Data
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 *
 * @typedef {import("../base/scale.js").Theme & {diverging: import("../base/scale.js").Rgb[]}} HeadsTheme
 */
import { appRoot, dataAddress } from "../base/addresses.js";
import { mark, settle } from "../base/dom.js";
import { ALL, filtered, Heads, LOOK, letters, parseOnly, parseSort, sorted, writeOnly, writeSort } from "./data.js";
import { createFrame } from "./frame.js";
import { askLabels, BEGINS, loadAlike, loadLook, takeLabels } from "./later.js";
import { mounting } from "../base/mounting.js";
import { Overview } from "../picture/overview.js";
import { readTheme } from "../base/scale.js";
import { readColours } from "../picture/signed.js";
import { HttpSource, LostError } from "../base/source.js";
import { View } from "../base/view.js";

/** @extends {View<Data>} */
export class HeadsView extends View {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {HeadsTheme} */
  theme;
  /** Of the text that is shown, from when its numbers are there. @type {Heads} */
  heads;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
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
    /** @type {{of: number, heads: {i: number, distance: number}[], says: string, how: string} | null} */
    this.alike = null;
    /** How far the labels are. @type {import("./packs").Labels} */
    this.told = { ...BEGINS };
    this.labelsBy = data.labels_by ?? "";
    /** @type {HttpSource | null} */
    this.source = null;
    this.sourceKey = "";
    this.shownKey = this.wanted = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.asking = undefined;
    this.alikeLater = settle(120, () => loadAlike(this));
    this.writesLater = settle(120, () => this.frame.writes.draw());
    this.frame = createFrame(this);
    this.listen();
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    const another = data.key !== this.sourceKey;
    if (another) {
      this.source = new HttpSource(dataAddress(data.key), {
        onLost: () => this.callbacks.setTrigger?.("lost", data.key),
      });
      this.sourceKey = data.key;
      this.shownKey = "";
    } else if (this.source?.lost) {
      this.source.lost = false;
      this.shownKey = "";
    }
    takeLabels(this, data.labels_by ?? "");
    const fromPython = this.isNews(data.seed);
    this.whenStyled(() => {
      this.readTheme();
      if (!this.shownKey) this.load();
      else if (fromPython) this.adopt();
      else this.draw();
    });
  }

  readTheme() {
    const { probe } = this.frame;
    this.theme = { ...readTheme(probe), diverging: readColours(probe).signed };
  }

  /** Fetch the numbers of this text. */
  async load() {
    const { source, sourceKey } = this;
    if (!source || this.wanted === sourceKey) return;
    this.wanted = sourceKey;
    mark(this.frame.view, "aria-busy", true);
    const here = () => this.sourceKey === sourceKey && !this.life.signal.aborted;
    try {
      /** @type {import("./packs").HeadsPack} */
      const pack = await source.pack("heads");
      if (!here()) return;
      const cards = this.heads?.model === pack.meta.model.id ? this.heads.cards : null; // they are the model's
      this.heads = new Heads(pack);
      this.heads.cards = cards;
      this.overview = null;
      this.alike = null;
      this.shownKey = sourceKey;
      this.frame.state.show("ready");
      this.adopt();
      askLabels(this);
      const overview = await source.overview();
      if (!here()) return;
      this.overview = new Overview(sourceKey, overview);
      this.frame.panel.draw();
    } catch (error) {
      if (!here()) return;
      this.frame.state.show(error instanceof LostError ? "lost" : "error", /** @type {Error} */ (error).message);
    } finally {
      if (this.wanted === sourceKey) {
        this.wanted = "";
        mark(this.frame.view, "aria-busy", false);
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
    const inside = (/** @type {number | null} */ at, /** @type {string} */ side) =>
      at !== null && at < heads.tokens[side].length ? at : null;
    this.pair = { query: inside(select.query, queries), key: inside(select.key, keys) };
    this.agree();
    this.frame.find.adopt();
    heads.setLook(null);
    this.hovered = null;
    if (this.selected !== null) this.alikeLater();
    loadLook(this).then(() => this.draw());
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
    this.frame.panel.draw();
    this.writesLater();
    this.announce(this.says(i));
    this.report();
  }

  /** @param {number | null} i @param {string} from */
  hover(i, from) {
    if (i === this.hovered) return;
    this.hovered = i;
    const { map, scatter, table } = this.frame;
    for (const part of [map, scatter, table]) part.marks("hover");
    mark(this.frame.view, "data-hovers", i === null ? null : from);
  }

  /** Open a head in the explorer, with the choice told on the way. @param {number} i */
  open(i) {
    this.selected = i;
    this.marks("open");
    this.leave("");
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
    this.frame.reading.draw();
    this.sendNow();
  }

  /** @param {{by: string, down: boolean}} sort */
  setSort(sort) {
    this.sort = sort;
    this.report();
    this.draw();
    const column = sort.by === "head" || sort.by === "label" ? sort.by : this.heads.metric(sort.by)?.title;
    this.announce(`sorted by ${column}, ${sort.down ? "descending" : "ascending"}`);
  }

  /** @param {import("./data.js").Only} only */
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
    const looked = loadLook(this);
    this.frame.find.draw();
    await looked;
    if (this.pair !== pair) return; // another one is on its way
    const { heads } = this;
    if (heads.look && first) {
      this.metric = LOOK;
      this.sort = { by: LOOK, down: true };
    }
    if (!heads.look) {
      for (const which of /** @type {const} */ (["metric", "metric_x", "metric_y"]))
        if (this[which] === LOOK)
          this[which] = { metric: "previous", metric_x: "entropy", metric_y: "previous" }[which];
      if (this.sort.by === LOOK) this.sort = { by: "head", down: false };
      if (this.only.metric === LOOK) this.only = { ...this.only, metric: "", least: 0 };
    }
    this.report();
    this.draw();
  }

  /**
   * Follow another token across the layers: the one that looks.
   * @param {number} query
   * @param {string} id of a group
   */
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
    const word = (/** @type {string} */ side, /** @type {number | null} */ at) =>
      at === null ? null : (heads.tokens[side][at]?.word ?? null);
    return { query: word(layer.queries, pair.query), key: word(layer.keys, pair.key) };
  }

  get labelling() {
    return this.told.state === "working";
  }

  /** The letter of a label. @param {string} label */
  letter(label) {
    return letters(this.heads.labels).get(label) ?? "•";
  }

  landing() {
    return this.heads ? this.frame.map.landing() : null;
  }

  // --- telling Python

  choice() {
    const { heads, selected, pair, metric, metric_x, metric_y, sort, only, byNorm } = this;
    const place = selected === null ? null : heads.places[selected];
    // a pair of other tokens would mean something else
    const own = place === null || heads.groupOf(selected) === this.group;
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
    const label = heads.cards ? `, ${heads.nameOfLabel(i)}` : "";
    const value = heads.value(metric, i);
    return (
      `${heads.titleOf(i)}${label}; ${heads.metric(metric)?.title} ` +
      `${value === value ? value.toFixed(2) : "has no meaning here"}`
    );
  }

  /** @param {string} text */
  announce(text) {
    this.frame.announce(text);
  }

  // --- drawing

  draw() {
    if (!this.heads || !this.theme || !this.shownKey || !this.frame.host.isConnected) return;
    this.shown = order(this);
    this.frame.draw();
    this.frame.host.dataset.ready = `${this.shownKey}:${this.heads.cards ? "labels" : this.told.state}`;
  }

  /** The selection has moved; nothing else has. @param {string} from */
  marks(from) {
    const { map, scatter, find, table } = this.frame;
    for (const part of [map, scatter, find, table]) part.marks(from);
  }

  destroy() {
    super.destroy();
    this.alikeLater.cancel();
    this.writesLater.cancel();
    clearTimeout(this.asking);
  }
}

/** @param {HeadsView} view */
function order({ heads, only, sort }) {
  return sorted(heads, filtered(heads, only), sort);
}

const { render, mount } = mounting(HeadsView);
export { render, mount as default };
