/**
 * The first answer: the tokens, the layers and one picture of every head.
 *
 * @typedef {import("./packs").Token} Token
 * @typedef {import("./packs").Layer} Layer
 * @typedef {import("./packs").Place} Place  where pictures lie
 * @typedef {import("./packs").Head} Head
 * @typedef {{codes: Uint8Array | Uint16Array, rows: number, cols: number, nQuery: number, nKey: number}} Picture
 */
import { peakOf } from "./matrix.js";

export class Overview {
  /** @param {string} key @param {import("./packs").OverviewPack} pack */
  constructor(key, { meta, arrays }) {
    this.key = key;
    this.meta = meta;
    this.layers = meta.layers;
    this.tokens = meta.tokens;
    this.note = meta.note ?? [];
    this.freeSums = meta.free_sums ?? false;
    this.full = Boolean(meta.full);
    this.heads = arrays.heads.data;
    this.aggregateCodes = arrays.aggregates?.data ?? new Uint8Array(0);
    /** @type {Map<string, Place>} */
    this.aggregates = new Map(meta.aggregates?.map((a) => [`${a.layer}/${a.head}`, a]));
    this.groups = groupsOf(this.layers, this.aggregates);
  }

  /**
   * The layer whose tokens a choice has: itself, or the first one of the group for "all:…".
   * @param {number | string} layer
   */
  layerOf(layer) {
    if (typeof layer === "number") return this.layers[layer] ?? null;
    const group = this.groups.find((g) => g.all === layer);
    return group ? this.layers[group.layers[0]] : null;
  }

  /** @param {number | string} layer @returns {Token[]} */
  queries(layer) {
    return this.tokens[this.layerOf(layer)?.queries ?? "source"] ?? [];
  }

  /** @param {number | string} layer @returns {Token[]} */
  keys(layer) {
    return this.tokens[this.layerOf(layer)?.keys ?? "source"] ?? [];
  }

  /**
   * Before which row and column a pair's second sentence begins; null where none does.
   * @param {number | string} layer
   */
  borders(layer) {
    const { second } = this.meta;
    const found = this.layerOf(layer);
    const before = (/** @type {string | undefined} */ side) => {
      const at =
        side === "source" && second !== undefined ? this.tokens.source.findIndex((one) => one.i >= second) : -1;
      return at > 0 ? at : null;
    };
    return { query: before(found?.queries), key: before(found?.keys) };
  }

  /** True if there is such a picture. @param {number | string} layer @param {number | string} head */
  has(layer, head) {
    if (typeof layer === "number" && typeof head === "number")
      return head >= 0 && head < (this.layers[layer]?.n_heads ?? 0);
    return this.aggregates.has(`${layer}/${head}`);
  }

  /** @param {number | string} layer @param {number | string} head @returns {Picture | null} */
  picture(layer, head) {
    if (!this.has(layer, head)) return null;
    const nQuery = this.queries(layer).length;
    const nKey = this.keys(layer).length;
    if (typeof layer === "number" && typeof head === "number") {
      const { offset, rows, cols } = this.layers[layer];
      const from = offset + head * rows * cols;
      return { codes: this.heads.subarray(from, from + rows * cols), rows, cols, nQuery, nKey };
    }
    const { offset, rows, cols } = /** @type {Place} */ (this.aggregates.get(`${layer}/${head}`));
    return { codes: this.aggregateCodes.subarray(offset, offset + rows * cols), rows, cols, nQuery, nKey };
  }

  /**
   * Entropy in bits, reach in tokens and largest weight of a head.
   * @param {number | string} layer
   * @param {number | string} head
   */
  summary(layer, head) {
    if (typeof layer === "number" && typeof head === "number") {
      const { entropy, reach, peak } = this.meta.summary ?? {};
      return {
        entropy: entropy?.[layer]?.[head] ?? null,
        reach: reach?.[layer]?.[head] ?? null,
        peak: peak?.[layer]?.[head] ?? null,
      };
    }
    const picture = this.picture(layer, head);
    return { entropy: null, reach: null, peak: picture ? peakOf(picture.codes) : null };
  }

  /**
   * "Layer 2 · head 3", as it is written over the picture.
   * @param {number | string} layer
   * @param {number | string} head
   */
  title(layer, head) {
    const found = this.layerOf(layer);
    const several = this.groups.length > 1;
    const place = several && found ? (found.kind === "cross" ? "cross-attention, " : `${found.stack}, `) : "";
    const name = `${place}${typeof layer === "number" ? (found?.label ?? `layer ${layer}`) : "all layers"}`;
    const part = typeof head === "number" ? `head ${head}` : head === "mean" ? "mean over heads" : "maximum over heads";
    return `${name.charAt(0).toUpperCase()}${name.slice(1)} · ${part}`;
  }

  /**
   * A choice that exists, as near as possible to the one asked for.
   * @param {number | string} layer
   * @param {Head} head
   */
  nearest(layer, head) {
    if (this.has(layer, head)) return { layer, head };
    const at = typeof layer === "number" ? Math.min(Math.max(Math.trunc(layer), 0), this.layers.length - 1) : 0;
    if (this.has(at, head)) return { layer: at, head };
    const last = (this.layers[at]?.n_heads ?? 1) - 1;
    return { layer: at, head: typeof head === "number" ? Math.min(Math.max(Math.trunc(head), 0), last) : 0 };
  }
}

/**
 * The atlas has one grid for each (stack, kind), in order of appearance.
 *
 * @param {Layer[]} layers
 * @param {{has: (name: string) => boolean}} aggregates
 */
export function groupsOf(layers, aggregates) {
  /**
   * @type {Map<string, {id: string, title: string, all: string, layers: number[], nHeads: number, nKvHeads: number,
   *   means: boolean, alls: boolean}>}
   */
  const groups = new Map();
  layers.forEach((layer, at) => {
    const id = `${layer.stack}:${layer.kind}`;
    let group = groups.get(id);
    if (!group) {
      const title =
        `${layer.stack === "encoder" ? "Encoder" : "Decoder"}, ` +
        `${layer.kind === "cross" ? "cross-attention" : `${layer.kind}-attention`}`;
      group = {
        id,
        title,
        all: `all:${id}`,
        layers: [],
        nHeads: 0,
        nKvHeads: layer.n_kv_heads ?? layer.n_heads,
        means: false,
        alls: false,
      };
      groups.set(id, group);
    }
    group.layers.push(at);
    group.nHeads = Math.max(group.nHeads, layer.n_heads);
    group.means ||= aggregates.has(`${at}/mean`) || aggregates.has(`${at}/max`);
    group.alls ||= aggregates.has(`${group.all}/mean`) || aggregates.has(`${group.all}/max`);
  });
  return [...groups.values()];
}
