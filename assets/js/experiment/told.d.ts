/** What Python tells the view of an experiment, and what the server answers about one. */

/** Plain data, as the core writes an edit or a question. */
export type Plain = { [name: string]: string | number | boolean | null | (string | number)[] | undefined };

/** What can be chosen inside a question's sentence: a token of a list, or a text. */
export type Slot = { options?: [number, string][]; text?: boolean; chosen: number | string };

/** A question that can be asked here. */
export type Proposal = {
  id: string;
  /** In the list of kinds of questions. */
  name: string;
  plain: Plain;
  /** The sentence: words, a token as shown, or a slot. */
  line: (string | { slot: string } | { t: string })[];
  slots: { [name: string]: Slot };
};

export type Select = {
  layer: number | string;
  head: number | string;
  query: number | null;
  key: number | null;
  /** The question as JSON; "": the first that is proposed. */
  question: string;
  /** What stands in the place of a head that is switched off. */
  fill: string;
};

export type Data = {
  /** Names the numbers under the data routes. */
  key: string;
  /** When it changes, `select` is taken from here. */
  seed: number;
  select: Select;
  link: string | null;
  link_note?: string;
  echo?: object | null;
  large?: boolean;
  questions: Proposal[];
  model: { id: string; name: string };
  text: string;
  /** The model that says a next word, where this one does not; "" otherwise. */
  other: string;
  /** What to look for in the example, while it is shown; "" otherwise. */
  example: string;
  /** Something was looked at before the example. */
  back: boolean;
  n_tokens: number;
  /** Where plotly.js lies, below the app's root. */
  plotly: string;
};

/** What one edit alone does: after − before. */
export type Variant = {
  layer: number | null;
  head: number | null;
  edits: Plain[];
  words: string;
  difference: number | null;
};

export type Swept = {
  question: Plain;
  unit: string;
  before: number | null;
  found: Variant[];
  notes: string[];
  /** What chance does to the largest of all that were tested: 95 % at most `largest`. */
  chance: { n: number; largest: number; tested: number } | null;
  why: string;
  total: number;
  finished: boolean;
};

export type Choice = { id: number; t: string; p: number };

export type Effected = {
  question: Plain;
  unit: string;
  words: string[];
  before: number | null;
  after: number | null;
  difference: number | null;
  top_before: Choice[];
  top_after: Choice[];
  notes: string[];
  /** Effects of changes of the same length in random directions. */
  null: (number | null)[];
  /** 95 % of them do at most this. */
  level: number | null;
  control: string;
};

/** One row through five lenses; null where a lens has no number. */
export type Lensed = {
  tokens: string[];
  weight: (number | null)[];
  length: (number | null)[] | null;
  signed: (number | null)[] | null;
  zeroed: (number | null)[];
  cut: (number | null)[];
  top: {
    weight: number | null;
    length: number | null;
    signed: number | null;
    zeroed: number | null;
    cut: number | null;
  };
  missing: string[];
  says: string;
};

/** How an experiment stands. */
export type Told<Found> = {
  state: "none" | "working" | "ready" | "stopped" | "failed";
  says: string;
  done: number;
  total: number;
  ahead: number;
  /** Names what `found` is; null: the page has it already. */
  stage: string;
  found: Found | null;
};
