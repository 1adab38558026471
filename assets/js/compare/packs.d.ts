/** What Compare is drawn from: the packs of `attention_core/comparing/packs.py`. */
import type { Buffer, Pack } from "../base/wire.js";

export type Facts = {
  /** How the texts were aligned, in a sentence. */
  says: string;
  /** What is not the same about the two beside their weights, in sentences. */
  notes: string[];
  by: string;
};

export type ChangedPack = Pack<
  Facts & {
    /** Why no head of A is the same head in B; "": they have the same heads. */
    why: string;
    layers: { label: string; n_heads: number; offset: number; rows: number; cols: number }[];
  },
  {
    /** Mean total variation of each head, 0 to 1. */
    changed: Buffer<Float32Array>;
    /** Heads, most changed first. */
    order: Buffer<Int32Array>;
    /** Codes s1 of A − B. */
    pictures: Buffer<Uint8Array>;
  }
>;

export type AgainstPack = Pack<
  { layers: { label: string; n_heads: number }[] },
  {
    /** Of each head of B from one of A, 0 to 1. */
    distance: Buffer<Float32Array>;
    /** Heads of B, the closest first. */
    order: Buffer<Int32Array>;
  }
>;

/** A row or column: both sides' words and tokens; null and none where a side has it not. */
export type Place = { a: string | null; b: string | null; i: number[]; j: number[]; same: boolean };

export type CellsPack = Pack<
  Facts & {
    rows: Place[];
    columns: Place[];
    /** Largest size of a difference; null: not finite. */
    top: number | null;
    /** Mean total variation of the rows; null: no row has a partner. */
    mean: number | null;
  },
  {
    a: Buffer<Float32Array>;
    b: Buffer<Float32Array>;
    difference: Buffer<Float32Array>;
    /** 0 a weight, 1 masked, 2 no such row or column. */
    of_a: Buffer<Uint8Array>;
    of_b: Buffer<Uint8Array>;
    apart: Buffer<Float32Array>;
  }
>;
