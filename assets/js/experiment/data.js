/**
 * The heads of the model and what switching each of them off does. Pure; no page is needed.
 *
 * @typedef {import("./told").Swept} Swept
 * @typedef {import("./told").Variant} Variant
 * @typedef {import("./told").Plain} Plain
 * @typedef {import("./told").Proposal} Proposal
 * @typedef {{i: number, layer: number, head: number, name: string}} Place
 */
import { groupsOf } from "../picture/overview.js";

export class Heads {
  /** @param {import("../picture/packs").Layer[]} layers */
  constructor(layers) {
    this.layers = layers;
    this.groups = groupsOf(layers, new Set());
    /** @type {Place[]} */
    this.places = layers.flatMap((layer, at) =>
      Array.from({ length: layer.n_heads }, (_, head) => ({ i: 0, layer: at, head, name: this.nameOf(at, head) })),
    );
    this.places.forEach((place, i) => {
      place.i = i;
    });
    /** What switching each head off does, NaN where that is not known. */
    this.effects = new Float64Array(this.places.length).fill(NaN);
    /** What chance does to the largest of them; null: not known. @type {number | null} */
    this.chance = null;
    this.unit = "";
    /** @type {Plain} */
    this.question = {};
  }

  /** "3.1", or "cross 3.1" with several kinds of attention. @param {number} layer @param {number} head */
  nameOf(layer, head) {
    const { stack, kind, index } = this.layers[layer];
    if (this.groups.length < 2) return `${index}.${head}`;
    return `${kind === "cross" ? "cross" : stack === "encoder" ? "enc" : "dec"} ${index}.${head}`;
  }

  /** "Layer 3 · head 1". @param {number} i */
  titleOf(i) {
    const { layer, head } = this.places[i];
    const { stack, kind, index } = this.layers[layer];
    if (this.groups.length < 2) return `Layer ${index} · head ${head}`;
    const where = kind === "cross" ? "Cross-attention" : stack === "encoder" ? "Encoder" : "Decoder";
    return `${where}, layer ${index} · head ${head}`;
  }

  /** @param {unknown} layer @param {unknown} head @returns {number | null} */
  indexOf(layer, head) {
    return this.places.find((place) => place.layer === layer && place.head === head)?.i ?? null;
  }

  /** Take what a sweep found, or forget it. @param {Swept | null} swept */
  take(swept) {
    this.effects.fill(NaN);
    this.chance = swept?.chance?.largest ?? null;
    this.unit = swept?.unit ?? "";
    this.question = swept?.question ?? {};
    for (const one of swept?.found ?? []) {
      const i = this.indexOf(one.layer, one.head);
      if (i !== null && one.difference !== null) this.effects[i] = one.difference;
    }
  }

  /** How many heads are known. */
  get n() {
    return this.effects.reduce((n, x) => n + (x === x ? 1 : 0), 0);
  }

  /** The largest magnitude: both ends of the scale. */
  get top() {
    return this.effects.reduce((top, x) => Math.max(top, x === x ? Math.abs(x) : 0), 0);
  }

  /** Beyond what chance does to the largest of all? null: cannot be said. @param {number} i */
  beyond(i) {
    const x = this.effects[i];
    return this.chance === null || x !== x ? null : Math.abs(x) > this.chance;
  }

  /** Those that are known, the largest effect first. */
  get ranked() {
    return this.places
      .map(({ i }) => i)
      .filter((i) => this.effects[i] === this.effects[i])
      .sort((a, b) => Math.abs(this.effects[b]) - Math.abs(this.effects[a]) || a - b);
  }
}

/** What a sweep over all heads goes through. @param {string} fill */
export function everyHead(fill) {
  return { sweep: "heads", how: fill, texts: [], layer: null };
}

/** One head switched off. @param {Place} place @param {string} fill */
export function switchedOff({ layer, head }, fill) {
  return { edit: "switch off", layer, head, how: fill, texts: [] };
}

/**
 * The plain question that a proposal stands for, with what was chosen in its slots.
 * @param {Proposal} proposal @param {{[slot: string]: number | string}} chosen @returns {Plain}
 */
export function questionOf({ plain, slots }, chosen) {
  const filled = Object.entries(slots).map(([name, slot]) => [name, chosen[name] ?? slot.chosen]);
  return { ...plain, ...Object.fromEntries(filled) };
}

/**
 * Which proposal a question in plain data is, and what stands in its slots; null if it is none of them.
 * @param {Proposal[]} proposals @param {string} text  JSON
 * @returns {{at: number, chosen: {[slot: string]: number | string}} | null}
 */
export function proposalOf(proposals, text) {
  /** @type {Plain} */
  let plain;
  try {
    plain = JSON.parse(text);
  } catch {
    return null;
  }
  const at = proposals.findIndex((one) => one.plain.question === plain?.question);
  if (at < 0) return null;
  const chosen = Object.keys(proposals[at].slots)
    .filter((name) => typeof plain[name] === "number" || typeof plain[name] === "string")
    .map((name) => [name, /** @type {number | string} */ (plain[name])]);
  return { at, chosen: Object.fromEntries(chosen) };
}

/** The same JSON whatever the order of the names. @param {Plain} plain */
export function written(plain) {
  return JSON.stringify(Object.fromEntries(Object.entries(plain).sort(([a], [b]) => (a < b ? -1 : 1))));
}
