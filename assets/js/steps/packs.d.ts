/** What Step by step shows: the packs of `attention_core/ledger/packs.py`. JSON has null for what is not a number. */
import type { Buffer, Pack } from "../base/wire.js";
import type { Check, Verdict } from "../picture/packs";

/** A token as shown; special? */
export type Token = { t: string; s: 0 | 1 };

export type Step = {
  name: string;
  title: string;
  says: string;
  symbols: string[];
  /** One equation a line. */
  formula: string[];
  /** Shapes of all tensors that the step reads or makes, by their names in the ledger. */
  tensors: Record<string, number[]>;
  makes: string[];
  /** Lines of torch; "" for none. */
  code: string;
  /** The tensor that the code gives. */
  result: string;
  /** Why it could not be observed; "" if it was. */
  why_not: string;
  holds: boolean;
  checks: Check[];
};

/** Where a number differs most from the model's. */
export type Fault = { check: string; where: string; ours: number | null; models: number | null };

export type LedgerMeta = {
  layer: number;
  head: number;
  query: number;
  model: string;
  /** The layer in words, and its kind of attention. */
  place: string;
  kind: string;
  n_heads: number;
  n_kv_heads: number;
  /** False where the layer cannot be recomputed. */
  exact: boolean;
  /** Of the scores; null where the layer cannot be recomputed. */
  scale: number | null;
  softcap: number | null;
  queries: Token[];
  keys: Token[];
  /** Queries and keys are the same tokens. */
  same_tokens: boolean;
  /** The code that makes the trace. */
  prelude: string;
  steps: Step[];
  /** Tensor → the step that makes it. */
  made_by: Record<string, string>;
  /** Which rows of a tensor are here, where not all are; and how many come at a time later. */
  rows: Record<string, number[]>;
  blocks: Record<string, number>;
  /** Tensors whose numbers can be taken apart into products. */
  opens: string[];
  holds: boolean;
  /** The largest difference of all checks. */
  worst: number | null;
  verdict: string;
  judged: Verdict;
  faults: Fault[];
};

/**
 * All steps of one head for one query: every tensor by its name; `order`, the keys by falling weight; `rest`, the
 * weight of all after the first n.
 */
export type LedgerPack = Pack<LedgerMeta>;

/** More rows of one tensor, under its name. */
export type RowsPack = Pack<{ name: string; start: number }, Record<string, Buffer<Float32Array>>>;

/**
 * One number taken apart: `sums`, of the products up to each; `order`, the products by falling size; `rest`, the sum of
 * all after the first n of them.
 */
export type ProductsPack = Pack<
  {
    name: string;
    row: number;
    component: number;
    total: number | null;
    /** Symbols of the two factors, and what the sum runs over. */
    left: string;
    right: string;
    over: string;
    /** Null: there is none. */
    bias: number | null;
    factor: number | null;
  },
  {
    left: Buffer<Float32Array>;
    right: Buffer<Float32Array>;
    products: Buffer<Float32Array>;
    sums: Buffer<Float32Array>;
    order: Buffer<Int32Array>;
    rest: Buffer<Float32Array>;
  }
>;

/** A matrix of a step for all tokens; `exact`: no blocks that show their value of largest magnitude. */
export type Picture = {
  symbol: string;
  role: string;
  /** What a row is, and a column: "query", "key", … */
  rows: string;
  columns: string;
  shape: [number, number];
  /** The sign written before it; "" for none. */
  before: string;
  exact: boolean;
  /** The largest finite magnitude. */
  top: number;
};

/** A step for all tokens at once: `m0`, `m1`, … NaN where masked. */
export type MatricesPack = Pack<
  { step: string; which: string; matrices: Picture[] },
  Record<string, Buffer<Float32Array>>
>;

/** What the model says after a token: as it is, and where heads may look ahead. No buffers. */
export type AheadPack = Pack<
  {
    /** The token that follows, whose probability stands in each row. */
    next: string;
    rows: {
      /** What was changed. */
      what: string;
      p: number | null;
      says: { t: string; p: number | null }[];
      /** What chance does beside it; "" for what was not changed. */
      beside: string;
    }[];
    /** Why it was not measured; "" if it was. */
    why_not: string;
  },
  Record<string, never>
>;
