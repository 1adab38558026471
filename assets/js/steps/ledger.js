/**
 * The numbers of one ledger: fetched for the chosen place, rows of long tensors when somebody looks at them.
 *
 * @typedef {import("./steps.js").Data} Data
 */
import { dataAddress } from "../base/addresses.js";
import { mark } from "../base/dom.js";
import { HttpSource, LostError } from "../base/source.js";
import { View } from "../base/view.js";

/** @typedef {import("../base/shell.js").Shell & {view: HTMLElement, state: import("../base/states.js").State}} Frame */

/** @extends {View<Data, Frame>} */
export class LedgerView extends View {
  /**
   * Of the ledger that is shown; `place` is ahead of it while another is on its way.
   * @type {import("./packs").LedgerMeta}
   */
  meta;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    this.place = { ...data.select };
    /** @type {Record<string, import("../base/wire.js").Buffer>} */
    this.arrays = {};
    /** @type {Map<string, Map<number, Float32Array>>} rows that came later, by tensor */
    this.late = new Map();
    /** @type {Set<string>} long vectors that are shown whole */
    this.unfolded = new Set();
    /** @type {HttpSource | null} */
    this.source = null;
    this.sourceKey = "";
    this.wanted = "";
    this.shown = "";
  }

  /** What the pointer is on, or what went wrong. @param {string} _text */
  tell(_text) {}

  // --- fetching

  /** Read from the numbers under this key. @param {string} key */
  read(key) {
    if (key === this.sourceKey) return;
    this.source = new HttpSource(dataAddress(key), { onLost: () => this.callbacks.setTrigger?.("lost", key) });
    this.sourceKey = key;
    this.shown = "";
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
      /** @type {import("./packs").LedgerPack} */
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

  /** Fetch the block of rows that holds this one. @param {string} name @param {number} row */
  async ask(name, row) {
    const start = row - (row % this.meta.blocks[name]);
    const { layer, head, query } = this.meta;
    const path = `ledger/${layer}/${head}/${query}/rows/${name}/${start}`;
    if (this.source?.waiting.has(path)) return;
    const shown = this.shown;
    try {
      /** @type {import("./packs").RowsPack | undefined} */
      const pack = await this.source?.pack(path);
      if (!pack || this.shown !== shown) return;
      const { data, shape } = pack.arrays[name];
      const rows = this.late.get(name) ?? new Map();
      for (let i = 0; i < shape[0]; i++) rows.set(start + i, data.subarray(i * shape[1], (i + 1) * shape[1]));
      this.late.set(name, rows);
      this.drawSoon();
    } catch (error) {
      this.tell(/** @type {Error} */ (error).message);
    }
  }

  // --- what is known

  /**
   * One value; null if its row is still on its way.
   * @param {string} name
   * @param {number[]} at
   * @returns {number | null}
   */
  value(name, at) {
    const array = this.arrays[name];
    if (!array) return null;
    if (at.length === 2) return this.vector(name, at[0])?.[at[1]] ?? null;
    return array.data[at[0] ?? 0] ?? null;
  }

  /**
   * A vector, or a row of a tensor; null if it is still on its way.
   * @param {string} name
   * @param {number | null} row
   * @returns {ArrayLike<number> | null}
   */
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
    return this.meta.steps.find((one) => one.name === step)?.title ?? step;
  }

  get queryToken() {
    return this.meta.queries[this.meta.query].t;
  }

  get step() {
    const { steps } = this.meta;
    return steps.find((step) => step.name === this.place.step) ?? steps[0];
  }

  get at() {
    return this.meta.steps.indexOf(this.step);
  }

  get keys() {
    return this.meta.keys;
  }

  /** The key that is followed: the chosen one, else the one with the largest weight. */
  get key() {
    const { key } = this.place;
    return key !== null && key < this.keys.length ? key : this.arrays.order.data[0];
  }
}
