/** What the server says of lessons: pages/shared/learn, attention_core/lessons/showing. */

export type Verdict = "right" | "nearly" | "no" | "shown";
export type Kind = "point" | "sketch" | "number" | "order" | "which" | "find-head";

/** A place of a row, shares, a number, names in order, a name; null to be shown. */
export type Answer = number | number[] | string | string[] | null;

export interface Lesson {
  id: string;
  title: string;
  turns: string;
  minutes: number;
  model: string;
  text: string;
  steps: number;
  needs: { id: string; title: string }[];
}

export interface Question {
  kind: Kind;
  asks: string;
  why_not: string;
  words: string[];
  among: number[];
  query: number | null;
  digits: number | null;
}

export interface Seen {
  say: string[];
  stands: [string, string][];
  missing: string[];
  text: string;
  open: { title: string; address: string } | null;
  ask: Question | null;
}

export interface Marked {
  verdict: Verdict;
  says: string;
  slip: string;
  why: string;
  values: number[];
}

/** Where somebody is; part from 1. */
export interface Place {
  lesson: string;
  part: number;
  own: string;
}
