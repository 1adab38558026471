/**
 * What the explorer's pictures are drawn from: the packs of `attention_core/pictures` (`overview.py`, `head.py`).
 *
 * Weights are whole numbers in two bytes or one (see base/wire.js), or float32 with NaN where masked.
 */
import type { Buffer, Pack } from "../base/wire.js";

/** Text shown, first original index, all of them, special? */
export type Token = { t: string; i: number; p: number[]; s: 0 | 1 };
export type LayerName = number | string;
export type Head = number | "mean" | "max";

/** A layer of attention, and whose tokens it reads. */
export type Layer = {
  stack: string;
  kind: string;
  index: number;
  label: string;
  queries: string;
  keys: string;
  n_heads: number;
  n_kv_heads: number;
};

/** Where a layer's first picture begins, and the size of each. */
export type Place = { offset: number; rows: number; cols: number };

/** By layer and head; null where there is none. */
export type Numbers = (number | null)[][];

export type OverviewPack = Pack<
  {
    model?: { id: string; name: string };
    /** What is not seen here, in sentences. */
    note?: string[];
    tokens: Record<string, Token[]>;
    /** `layer`: its place among all layers; `index` is counted within its stack. `exact`: it has q and k. */
    layers: (Layer & Place & { layer?: number; causal?: boolean; exact?: boolean })[];
    /** Rows that somebody gave, which need not sum to 1. */
    free_sums?: boolean;
    /** Of a pair: the source token with which the second sentence begins. */
    second?: number;
    /** The pictures are whole, not block maxima. */
    full?: boolean;
    /** Entropy in bits, reach in tokens, largest weight. */
    summary?: { entropy: Numbers; reach: Numbers; peak: Numbers };
    /** Means and maxima over heads; `layer` may be a group's "all:…". */
    aggregates?: (Place & { layer: LayerName; head: string })[];
  },
  { heads: Buffer<Uint8Array | Uint16Array>; aggregates?: Buffer<Uint8Array> }
>;

/** One comparison with the model; `difference` is null where a side is not a number. */
export type Check = { name: string; difference: number | null; tolerance: number; holds: boolean; reason: string };

/**
 * What a proof comes to, in words, and with the largest difference in `text`; `answer` as in
 * `attention_core/record/verdict.py`.
 */
export type Verdict = { answer: string; sign: string; words: string; text: string; reasons: string[] };

export type Proof = Verdict & { holds: boolean; worst: number | null; checks: Check[] };

export type HeadMeta = {
  layer: LayerName;
  head: Head;
  n_query: number;
  n_key: number;
  /** Tokens a block; 1: every cell is its own. */
  factor: number;
  /** Positions of queries and keys. */
  strongest: { q: number; k: number; w: number }[];
  /** Mean over queries, bits and tokens. */
  entropy: number | null;
  reach: number | null;
  /** Smallest and largest sum of a row; null: not finite. */
  rowsum: [number | null, number | null];
  /** By query: the weight that hidden keys took; null: none is hidden. */
  hidden: number[] | null;
  /** Null for a mean or maximum. */
  proof: Proof | null;
  reserved: string;
  reservations: string[];
  /** What the layer has beyond the plain formula. */
  terms: string[];
};

/** Small heads have weights and, where they are known, q·k; large ones a picture of block maxima. */
export type HeadPack = Pack<
  HeadMeta,
  { weights?: Buffer<Float32Array>; scores?: Buffer<Float32Array>; picture?: Buffer<Uint16Array> }
>;

/** One query's row or one key's column, exact. */
export type LinePack = Pack<
  { axis: "query" | "key"; index: number },
  { weights: Buffer<Float32Array>; scores?: Buffer<Float32Array> }
>;

/** A part of a large matrix, each cell its own. */
export type TilePack = Pack<{ row0: number; col0: number }, { picture: Buffer<Uint16Array> }>;
