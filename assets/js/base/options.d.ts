import type { Mark, Selection } from "./selection.js";

/** How the numbers are read and drawn, in the words of `pages/shared/address/view.py`. */
export type Options = {
  hide_special: boolean;
  hide_first: boolean;
  renormalise: boolean;
  /** Words, not pieces. */
  words: boolean;
  /** Shares of ‖a·v·W_O‖, not weights. */
  by_norm: boolean;
  /** Colours up to the head's own maximum. */
  per_head_scale: boolean;
  /** Links below this weight are not drawn. */
  threshold: number;
  /** Which of the three a narrow screen shows. */
  picture: string;
};

/** What Python is told; query and key are original token indices. */
export type Choice = Pick<Selection, "layer" | "head"> & Mark & Options;
