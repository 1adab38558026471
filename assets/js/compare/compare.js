/**
 * Two runs beside each other: A, B and A − B, of one head each, under one cursor; and all heads of both.
 *
 * @typedef {import("./told").Data} Data
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 * @typedef {import("../base/selection.js").Head} Head
 * @typedef {{layer: number, head: Head}} Chosen
 */
import { Cells } from "./cells.js";
import { createFrame } from "./frame.js";
import { appRoot, dataAddress } from "../base/addresses.js";
import { mounting } from "../base/mounting.js";
import { readTheme } from "../base/scale.js";
import { initial, reduce } from "../base/selection.js";
import { HttpSource, LostError } from "../base/source.js";
import { View } from "../base/view.js";
import { choiceAt, neighbour, placeOf } from "../picture/grid.js";
import { Overview } from "../picture/overview.js";
import { readColours } from "../picture/signed.js";

/** @extends {View<Data>} */
export class CompareView extends View {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {import("../base/scale.js").Theme} */
  theme;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    /** @type {Chosen} */
    this.a = { layer: data.select.layer, head: data.select.head };
    /** B's own head; null: the same as A's. @type {Chosen | null} */
    this.b = null;
    this.selection = initial();
    this.fixed = "";
    this.ownScale = false;
    /** @type {import("../base/scale.js").Rgb[]} */
    this.diverging = [];
    /** @type {Cells | null} */
    this.cells = null;
    /** @type {import("./packs").ChangedPack | null} */
    this.changed = null;
    /** @type {import("./packs").AgainstPack | null} */
    this.against = null;
    /** @type {{a: Overview | null, b: Overview | null}} */
    this.overviews = { a: null, b: null };
    /** A pin from outside, until its rows are here. @type {Record<string, number | null> | null} */
    this.asked = null;
    /** @type {HttpSource | null} */
    this.source = null;
    this.sources = "";
    this.shown = "";
    this.wanted = "";
    this.frame = createFrame(this);
    this.listen();
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    const fromPython = this.isNews(data.seed);
    if (fromPython) this.adopt();
    this.open();
    this.whenStyled(() => {
      this.readTheme();
      if (this.shown !== this.wanting()) this.load();
      else this.draw();
    });
  }

  readTheme() {
    const { probe } = this.frame;
    this.theme = readTheme(probe);
    this.diverging = readColours(probe).signed;
  }

  /** The numbers of these two sides, with the tokens that were put together. */
  open() {
    const { key, key_b } = this.data;
    const names = `${key}/${key_b}`;
    const at = `sightline/compare/${encodeURIComponent(key)}/${encodeURIComponent(key_b)}/${this.fixed || "-"}/`;
    const base = new URL(at, appRoot()).href;
    if (this.source?.base === base && !this.source.lost) return;
    const lost = () => this.callbacks.setTrigger?.("lost", `${names}:${Date.now()}`);
    this.source = new HttpSource(base, { onLost: lost });
    this.changed = this.against = null;
    if (names !== this.sources) this.overviews = { a: null, b: null };
    this.sources = names;
    this.shown = "";
  }

  /** Take what Python has: on opening, and when something outside changed it. */
  adopt() {
    const { select, other } = this.data;
    this.a = { layer: select.layer, head: select.head };
    const apart = other.layer !== null || other.head !== null;
    this.b = apart ? { layer: other.layer ?? select.layer, head: other.head ?? select.head } : null;
    this.fixed = other.fixed;
    this.ownScale = other.own_scale;
    this.asked = { query: select.query, key: select.key, b_query: other.query, b_key: other.key };
    this.selection = initial();
    if (this.cells && this.shown && this.shown === this.wanting()) this.place();
  }

  /** Which cells are to be shown. */
  wanting() {
    const b = this.chosen("b");
    return `${this.source?.base}${this.a.layer}/${this.a.head}/${b.layer}/${b.head}`;
  }

  /** Fetch what is shown: the two heads first, then all heads. */
  async load() {
    const { source } = this;
    const wanted = this.wanting();
    if (!source || this.wanted === wanted) return;
    this.wanted = wanted;
    this.frame.busy(true);
    const here = () => this.wanting() === wanted && !this.life.signal.aborted;
    const b = this.chosen("b");
    try {
      /** @type {import("./packs").CellsPack} */
      const cells = await source.pack(`cells/${this.a.layer}/${this.a.head}/${b.layer}/${b.head}`);
      if (!here()) return;
      this.cells = new Cells(cells);
      this.shown = wanted;
      this.place();
      this.frame.state.show("ready");
      this.draw();
      await this.loadHeads(source, here);
    } catch (error) {
      if (!here()) return;
      this.frame.state.show(error instanceof LostError ? "lost" : "error", /** @type {Error} */ (error).message);
    } finally {
      if (this.wanted === wanted) {
        this.wanted = "";
        this.frame.busy(false);
      }
      if (!here() && !this.life.signal.aborted && this.wanted === "" && this.shown !== this.wanting()) this.load();
    }
  }

  /** @param {HttpSource} source @param {() => boolean} here */
  async loadHeads(source, here) {
    const { data } = this;
    if (!this.changed) {
      /** @type {import("./packs").ChangedPack} */
      const changed = await source.pack("changed");
      if (source !== this.source) return;
      this.changed = changed;
    }
    for (const [side, key] of /** @type {const} */ ([
      ["a", data.key],
      ["b", data.key_b],
    ])) {
      if (this.overviews[side]) continue;
      const overview = await new HttpSource(dataAddress(key)).overview();
      if (this.sources !== `${data.key}/${data.key_b}`) return;
      this.overviews[side] = new Overview(key, overview);
    }
    if (!this.listsChanged) {
      /** @type {import("./packs").AgainstPack} */
      const against = await source.pack(`against/${this.a.layer}/${this.a.head}`);
      if (!here()) return;
      this.against = against;
    }
    if (here()) this.draw();
  }

  again() {
    if (this.source) this.source.lost = false;
    this.wanted = this.shown = "";
    this.load();
  }

  /** Put the pin that was asked for where its tokens stand now. */
  place() {
    const { cells, asked } = this;
    if (!cells) return;
    const pin = this.asked ?? this.pinned;
    if (pin) {
      const query = cells.placeOf(cells.rows, pin.query, pin.b_query);
      const key = cells.placeOf(cells.columns, pin.key, pin.b_key);
      const at = query === null && key === null ? null : { query, key };
      this.selection = reduce({ ...this.selection, hover: null, cursor: at }, { type: "place", pin: at });
    }
    this.asked = null;
    if (asked) this.agree();
  }

  /** The pinned cell by its tokens. @type {Record<string, number | null>} */
  get pinned() {
    const { cells, selection } = this;
    const row = cells && selection.pin?.query != null ? cells.rows[selection.pin.query] : undefined;
    const column = cells && selection.pin?.key != null ? cells.columns[selection.pin.key] : undefined;
    return {
      query: row?.i[0] ?? null,
      key: column?.i[0] ?? null,
      b_query: row && !row.i.length ? (row.j[0] ?? null) : null,
      b_key: column && !column.i.length ? (column.j[0] ?? null) : null,
    };
  }

  // --- what is known of the two

  /** Each head of A is a head of B. */
  get sameHeads() {
    return this.changed?.meta.why === "";
  }

  /** The list is of heads that changed; else of B's heads beside one of A's. */
  get listsChanged() {
    return this.sameHeads && !this.data.same_run && this.b === null;
  }

  /** As far as the colours of A − B go. */
  get top() {
    return this.ownScale ? this.cells?.top || 1 : 1;
  }

  /** @param {"a" | "b" | "both"} side @returns {Chosen} */
  chosen(side) {
    return side === "b" ? (this.b ?? this.a) : this.a;
  }

  /** @param {"a" | "b"} side */
  shortTitle(side) {
    const { layer, head } = this.chosen(side);
    return typeof head === "number" ? `${layer}.${head}` : `layer ${layer} ${head}`;
  }

  titles() {
    return [this.shortTitle("a"), this.shortTitle("b")];
  }

  /** @param {"a" | "b" | "both"} side @param {number | string} layer @param {Head} head */
  titleOfHead(side, layer, head) {
    const overview = this.overviews[side === "b" ? "b" : "a"];
    if (overview) return overview.title(layer, head);
    const name = typeof head === "number" ? `head ${head}` : head === "mean" ? "mean over heads" : "maximum over heads";
    return `Layer ${layer} · ${name}`;
  }

  /** @param {"a" | "b" | "both"} side */
  titleOf(side) {
    if (side !== "both") {
      const { layer, head } = this.chosen(side);
      return this.titleOfHead(side, layer, head);
    }
    const mean = this.cells?.meta.mean;
    return mean === null || mean === undefined ? "no row has a partner" : `${mean.toFixed(2)} of 1 apart`;
  }

  /** What is compared, in a line. */
  says() {
    const [a, b] = /** @type {const} */ (["a", "b"]).map((side) => this.titleOf(side));
    const [one, other] = this.data.names;
    const models = one === other ? "" : ` (${one}; ${other})`;
    return this.b === null ? `A and B: ${a}${models}` : `A: ${a} · B: ${b}${models}`;
  }

  notes() {
    const { meta } = this.cells ?? {};
    if (!meta) return "";
    const nothing =
      meta.mean !== null && meta.mean < 5e-7 ? "Nothing differs here: change B’s text, model or head." : "";
    return [nothing, meta.says, ...meta.notes, this.changed?.meta.why ?? ""].filter(Boolean).join(" ");
  }

  // --- choosing

  /** @param {"a" | "b" | "both"} side @param {number} layer @param {Head} head */
  choose(side, layer, head) {
    const next = { layer, head };
    if (side === "both") [this.a, this.b] = [next, null];
    else if (this.b === null && this.sameHeads && !this.data.same_run) this.a = next;
    else if (side === "a") {
      this.b ??= this.a;
      this.a = next;
    } else this.b = next;
    this.changedChoice();
  }

  /** The same head in both, or each its own. @param {boolean} together */
  setTogether(together) {
    this.b = together ? null : { ...this.a };
    this.changedChoice();
  }

  /** @param {boolean} own */
  setOwnScale(own) {
    this.ownScale = own;
    this.report();
    this.draw();
  }

  /** @param {string} fixed pairs of tokens that belong together */
  setFixed(fixed) {
    this.asked = this.pinned;
    this.fixed = fixed;
    this.open();
    this.changedChoice();
  }

  /** @param {1 | -1} by */
  stepHead(by) {
    const groups = this.overviews.a?.groups;
    const from = groups && placeOf(groups, this.a.layer, this.a.head);
    if (!groups || !from) return;
    const to = neighbour(groups, from, by);
    const { layer, head } = choiceAt(groups[to.group], to.row, to.col);
    this.choose("a", Number(layer), head);
  }

  changedChoice() {
    this.report();
    this.frame.atlases.marks();
    this.frame.list.marks();
    if (this.shown !== this.wanting()) this.load();
    else this.draw();
  }

  /** @param {import("../base/selection.js").Action} action */
  dispatch(action) {
    const before = this.selection;
    const after = reduce(before, action);
    if (after === before) return;
    this.selection = after;
    if (after.pin !== before.pin) {
      this.report();
      this.frame.reading.draw();
    }
    this.frame.cross();
    if (action.type === "step" || action.type === "jump") this.frame.maps.reveal();
  }

  choice() {
    const pinned = this.asked ?? this.pinned;
    return {
      layer: this.a.layer,
      head: this.a.head,
      query: pinned.query,
      key: pinned.key,
      b_layer: this.b?.layer ?? null,
      b_head: this.b?.head ?? null,
      b_query: pinned.b_query,
      b_key: pinned.b_key,
      b_fixed: this.fixed,
      b_own_scale: this.ownScale,
    };
  }

  landing() {
    return this.cells ? this.frame.maps.stage : null;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (!this.hears(event) || !this.cells) return;
    if (event.key === "Escape") this.dispatch({ type: "release" });
    else if (event.key === "[") this.stepHead(-1);
    else if (event.key === "]") this.stepHead(1);
    else if (event.key === "m") this.choose("a", this.a.layer, "mean");
    else if (event.key === "x") this.choose("a", this.a.layer, "max");
    else if (!this.frame.maps.key(event.key)) return;
    event.preventDefault();
  }

  draw() {
    if (!this.cells || !this.theme || !this.frame.host.isConnected) return;
    this.frame.draw();
    const heads = this.overviews.a && this.overviews.b ? "heads" : "cells";
    this.frame.host.dataset.ready = `${this.titles().join("/")}:${heads}`;
  }
}

const { render, mount } = mounting(CompareView);
export { render, mount as default };
