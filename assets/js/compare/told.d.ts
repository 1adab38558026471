import type { Head } from "../base/selection.js";

/** What Python tells Compare. */
export type Data = {
  /** Names the numbers of A, and of B. */
  key: string;
  key_b: string;
  /** When it changes, what is chosen is taken from here. */
  seed: number;
  link: string | null;
  link_note?: string;
  echo?: object | null;
  large?: boolean;
  /** Of the models. */
  names: [string, string];
  /** B is A's own run: only heads differ. */
  same_run: boolean;
  select: { layer: number; head: Head; query: number | null; key: number | null };
  /** What is B's own; null where it is A's. */
  other: {
    layer: number | null;
    head: Head | null;
    query: number | null;
    key: number | null;
    fixed: string;
    own_scale: boolean;
  };
};
