/** What the Heads page shows: the packs of `attention_core/heads` (`packs.py`, `across.py`), and the labels as JSON. */
import type { Buffer, Pack } from "../base/wire.js";
import type { Layer } from "../picture/packs";

export type Metric = {
  name: string;
  title: string;
  short: string;
  definition: string;
  unit: string;
  low: number;
  /** Null: no fixed top, the scale ends at the largest value of this text. */
  high: number | null;
  source: string;
};

/** A token as shown, the first piece of its word, the word, special? */
export type Word = { t: string; w: number; word: string; s: 0 | 1 };

/** Every head in numbers: `values`, [metric, head], NaN where a metric has no meaning. */
export type HeadsPack = Pack<
  {
    model: { id: string; name: string };
    metrics: (Metric & { more: string })[];
    layers: Layer[];
    tokens: Record<string, Word[]>;
  },
  {
    values: Buffer<Float32Array>;
    /** What even attention would score, [metric, layer]. */
    even: Buffer<Float32Array>;
  }
>;

/** One look in every head: its weight, NaN where there is none, and the key's place among the keys that are read. */
export type LookPack = Pack<
  {
    /** How many places there are. */
    of: number;
    /** What the same queries give other keys, mean over heads. */
    null: number | null;
    /** The pieces of the two words. */
    queries: number[];
    keys: number[];
  },
  { weights: Buffer<Float32Array>; rank: Buffer<Int32Array> }
>;

/** Heads that behave like one, nearest first. */
/** `says`: what the numbers are of; `how`: what the distance is. */
export type LikePack = Pack<
  { heads: { layer: number; head: number; distance: number }[]; says: string; how: string },
  {}
>;

/** What one token draws on among the input tokens, [layer, input]; flow has the last layer only. */
export type AcrossPack = Pack<
  {
    stack: string;
    query: number;
    how: string;
    last_only?: boolean;
    /** The most tokens that flow is computed for. */
    flow_limit?: number;
  },
  { drawn: Buffer<Float32Array> }
>;

/** A word that a head raises or lowers, and by how much. */
export type Moved = { t: string; by: number };

/** What a head writes at one token, or why that cannot be said. */
export type WritesPack = Pack<
  | { unsaid: ""; raised: Moved[]; lowered: Moved[]; length: number; spread: number; says: string }
  | { unsaid: string; raised?: undefined; lowered?: undefined },
  {}
>;

/** A head's label in plain words; `label` null: it carries none. */
export type Card = {
  answer: "named" | "unlabelled" | "untested";
  label: string | null;
  title: string;
  /** The lengths of text at which the label holds; "" where it holds at all. */
  at: string;
  says: string;
  rows: [string, string][];
  why: string;
  /** What could not be tested, in sentences. */
  untested: string;
};

/** How far the labels of the model are; `cards` by "layer.head" when they are there. */
export type Labels = {
  state: "working" | "ready" | "failed" | "none";
  done: number;
  total: number;
  says?: string;
  cards?: Record<string, Card>;
};
