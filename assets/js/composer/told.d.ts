/** What the text box is told, by Python and by the box of the first frame, and what it holds. */

export interface ComposerData {
  /** The committed text. */
  text: string;
  /** Character from which it is read. */
  start?: number;
  /** The committed second sentence, "" for none. */
  pair: string;
  /** The committed decoder text, "" for none. */
  target?: string;
  /** When it changes, the box takes the texts from here; otherwise what is typed stands. */
  seed: number;
  /** POST {"text", "pair", "target"} → Count */
  count_url: string;
  /** Tokens of the committed text, if known. */
  n: number | null;
  /** Tokens the model reads. */
  limit: number | null;
  model_name: string;
  examples: import("./text.js").Example[];
  can_pair: boolean;
  /** The model has a decoder that may be given a text. */
  can_target?: boolean;
  /** The server's own name for its process. */
  boot?: string;
  /** The committed text is being read by the model. */
  busy: boolean;
}

/** `start` counts characters, not UTF-16 units. */
export type Texts = { text: string; start: number; pair: string; target: string };

/** By the box of the first frame. */
export type Held = {
  text: string;
  edited: boolean;
  start: number;
  end: number;
  direction: "forward" | "backward" | "none";
  focused: boolean;
  entered: boolean;
};
