/**
 * Every head in numbers: what the table, the map and the scatter are drawn from. Pure; no page is needed.
 *
 * @typedef {import("./packs").Metric} Metric
 * @typedef {import("./packs").Card} Card
 * @typedef {import("./packs").Word} Word
 * @typedef {{i: number, layer: number, head: number, name: string}} Place
 * @typedef {{label: string, layer: number | null, metric: string, least: number}} Only label "": any, "*": has one,
 *   "-": tested, and has none, "?": could not be tested
 * @typedef {{low: number, high: number, says: string}} Range
 */

import { groupsOf } from "../picture/overview.js";

/** The weight from one chosen token to another, once two are chosen; a metric like any other. */
export const LOOK = "look";
/** Sorting by these needs no metric. */
const PLAIN = ["head", "label"];

export class Heads {
  /** @param {import("./packs").HeadsPack} pack */
  constructor({ meta, arrays }) {
    this.layers = meta.layers;
    this.model = meta.model.id;
    this.name = meta.model.name;
    this.metrics = meta.metrics;
    this.tokens = meta.tokens;
    this.groups = groupsOf(this.layers, new Set());
    /** @type {Place[]} */
    this.places = this.layers.flatMap((layer, at) =>
      Array.from({ length: layer.n_heads }, (_, head) => ({ i: 0, layer: at, head, name: this.nameOf(at, head) })),
    );
    this.places.forEach((place, i) => {
      place.i = i;
    });
    const n = this.places.length;
    const { data } = arrays.values;
    /** @type {Map<string, ArrayLike<number>>} */
    this.columns = new Map(this.metrics.map(({ name }, at) => [name, data.subarray(at * n, (at + 1) * n)]));
    /**
     * @type {{ranks: ArrayLike<number>, of: number, null: number | null} | null} of the look: the key's place among the
     *   keys
     */
    this.looked = null;
    /** @type {(Card | null)[] | null} one for each head, once they are known */
    this.cards = null;
  }

  get n() {
    return this.places.length;
  }

  /**
   * "3.1"; with several kinds of attention "cross 3.1", counted within its kind.
   * @param {number} layer
   * @param {number} head
   */
  nameOf(layer, head) {
    const { stack, kind, index } = this.layers[layer];
    if (this.groups.length < 2) return `${index}.${head}`;
    return `${kind === "cross" ? "cross" : stack === "encoder" ? "enc" : "dec"} ${index}.${head}`;
  }

  /** "Layer 3 · head 1", as it is written over the pictures of the explorer. @param {number} i */
  titleOf(i) {
    const { layer, head } = this.places[i];
    const { stack, kind, index } = this.layers[layer];
    const place =
      this.groups.length < 2
        ? "Layer"
        : kind === "cross"
          ? "Cross-attention, layer"
          : `${stack === "encoder" ? "Encoder" : "Decoder"}, layer`;
    return `${place} ${index} · head ${head}`;
  }

  /** Which group of layers a head belongs to. @param {number | null} i */
  groupOf(i) {
    return i === null
      ? 0
      : Math.max(
          this.groups.findIndex((group) => group.layers.includes(this.places[i].layer)),
          0,
        );
  }

  /** @param {string} name @returns {Metric | undefined} */
  metric(name) {
    return name === LOOK ? this.look : this.metrics.find((metric) => metric.name === name);
  }

  /** @type {Metric | undefined} */
  look = undefined;

  /**
   * The weights from one word to another, as a metric of their own; null takes it away.
   * @param {import("./packs").LookPack | null} pack
   * @param {string} [title]
   * @param {string} [definition]
   * @param {string} [what] the row’s what
   */
  setLook(pack, title = "", definition = "", what = "attention") {
    if (!pack) {
      this.look = undefined;
      this.looked = null;
      this.columns.delete(LOOK);
      return;
    }
    this.look = {
      name: LOOK,
      title,
      short: title,
      definition,
      unit: `share of the row’s ${what}`,
      low: 0,
      high: 1,
      source: "",
    };
    this.looked = { ranks: pack.arrays.rank.data, of: pack.meta.of, null: pack.meta.null };
    this.columns.set(LOOK, pack.arrays.weights.data);
  }

  /**
   * Every metric that can be chosen now; the look first, because somebody has just asked for it.
   * @returns {Metric[]}
   */
  get choices() {
    return this.look ? [this.look, ...this.metrics] : this.metrics;
  }

  /** @param {string} name @param {number} i  NaN where a head has no such number */
  value(name, i) {
    return this.columns.get(name)?.[i] ?? NaN;
  }

  /** @param {unknown} layer @param {unknown} head @returns {number | null} */
  indexOf(layer, head) {
    return this.places.find((place) => place.layer === layer && place.head === head)?.i ?? null;
  }

  /** @param {number} i @returns {string | null} */
  label(i) {
    return this.cards?.[i]?.label ?? null;
  }

  /** The third answer: no test could be made. @param {number} i */
  untested(i) {
    return this.cards?.[i]?.answer === "untested";
  }

  /** A head’s answer in words, with the lengths of text if it holds at some only. @param {number} i */
  nameOfLabel(i) {
    const card = this.cards?.[i];
    if (!card) return "no label";
    if (card.label) return card.at ? `${card.title} ${card.at}` : card.title;
    return card.answer === "untested" ? "could not be tested" : "unlabelled";
  }

  /** Labels that some head carries, commonest first. @returns {{label: string, title: string, n: number}[]} */
  get labels() {
    /** @type {Map<string, {label: string, title: string, n: number}>} */
    const found = new Map();
    for (const card of this.cards ?? []) {
      if (!card?.label) continue;
      const known = found.get(card.label) ?? { label: card.label, title: card.title, n: 0 };
      known.n += 1;
      found.set(card.label, known);
    }
    return [...found.values()].sort((a, b) => b.n - a.n || a.title.localeCompare(b.title));
  }

  /** The scale of a metric. @param {string} name @returns {Range} */
  range(name) {
    const metric = this.metric(name);
    if (!metric) return { low: 0, high: 1, says: "" };
    return rangeOf(metric, this.columns.get(name) ?? []);
  }
}

/**
 * A fixed scale where the metric has one; else up to the largest value of these heads, and the words say so.
 *
 * @param {Metric} metric @param {ArrayLike<number>} values @returns {Range}
 */
export function rangeOf(metric, values) {
  const { low, high, unit } = metric;
  if (high !== null) return { low, high, says: `fixed scale, ${number(low)} to ${number(high)} ${unit}`.trim() };
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  if (!(most > low))
    return {
      low,
      high: low + 1,
      says: `${number(low)} to ${number(low + 1)} ${unit}; no head is above ${number(low)}`.trim(),
    };
  return { low, high: most, says: `${number(low)} to ${number(most)} ${unit}, the largest here`.trim() };
}

/** Where a value lies in a range, 0…1; NaN stays NaN. @param {Range} range @param {number} value */
export function share({ low, high }, value) {
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

/** A number of a metric, as the table writes it. @param {number | null} x */
export function number(x) {
  if (x === null || x !== x) return "–";
  const size = Math.abs(x);
  const text =
    size >= 100
      ? x.toFixed(0)
      : size >= 10
        ? x.toFixed(1)
        : Number.isInteger(x) && size !== 0 && size < 10
          ? String(x)
          : x === 0
            ? "0"
            : x.toFixed(2);
  return text.replace("-", "−");
}

/** The same with as many decimals in every row, so that a column lines up. @param {number} x @param {Range} range */
export function aligned(x, range) {
  if (x !== x) return "–";
  const digits = range.high >= 100 ? 0 : range.high >= 10 ? 1 : 2;
  return x
    .toFixed(digits)
    .replace(/^-(0(\.0*)?)$/, "$1")
    .replace("-", "−");
}

// --- sorting

/** "-induction" → by induction, largest first. @param {string} text @param {(name: string) => boolean} known */
export function parseSort(text, known) {
  const down = text.startsWith("-");
  const by = down ? text.slice(1) : text;
  return PLAIN.includes(by) || known(by) ? { by, down } : { by: "head", down: false };
}

/** @param {{by: string, down: boolean}} sort */
export function writeSort({ by, down }) {
  return `${down ? "-" : ""}${by}`;
}

/**
 * What pressing a column's heading does: numbers start with the largest, names with the first.
 * @param {{by: string, down: boolean}} sort
 * @param {string} by
 */
export function pressed(sort, by) {
  return { by, down: sort.by === by ? !sort.down : !PLAIN.includes(by) };
}

/**
 * Heads in order. A head without the number comes last whichever way; equals stay in the order of the model.
 *
 * @param {Heads} heads @param {number[]} which @param {{by: string, down: boolean}} sort
 */
export function sorted(heads, which, { by, down }) {
  const sign = down ? -1 : 1;
  const order = [...which];
  if (by === "head") return order.sort((a, b) => sign * (a - b));
  if (by === "label") {
    const title = (/** @type {number} */ i) => (heads.cards?.[i]?.label ? heads.nameOfLabel(i) : null);
    return order.sort((a, b) => {
      const [x, y] = [title(a), title(b)];
      if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1;
      return sign * x.localeCompare(y) || a - b;
    });
  }
  return order.sort((a, b) => {
    const [x, y] = [heads.value(by, a), heads.value(by, b)];
    if (x !== x || y !== y) return x !== x && y !== y ? a - b : x !== x ? 1 : -1;
    return sign * (x - y) || a - b;
  });
}

// --- filtering

/** @type {Readonly<Only>} */
export const ALL = Object.freeze({ label: "", layer: null, metric: "", least: 0 });

/**
 * A filter as one short text, for the address: "label:induction;layer:3;entropy:2.5". What cannot be read is left out.
 *
 * @param {string} text @param {(name: string) => boolean} known  is there such a metric? @returns {Only}
 */
export function parseOnly(text, known) {
  const only = { ...ALL };
  for (const part of text.split(";")) {
    const at = part.indexOf(":");
    if (at < 1) continue;
    const [name, value] = [part.slice(0, at), part.slice(at + 1)];
    if (name === "label") only.label = value;
    else if (name === "layer" && /^\d{1,4}$/.test(value)) only.layer = Number(value);
    else if (known(name) && value !== "" && Number.isFinite(Number(value)))
      Object.assign(only, { metric: name, least: Number(value) });
  }
  return only;
}

/** @param {Only} only */
export function writeOnly({ label, layer, metric, least }) {
  return [label && `label:${label}`, layer !== null && `layer:${layer}`, metric && `${metric}:${least}`]
    .filter(Boolean)
    .join(";");
}

/** The heads that a filter leaves, in the order of the model. @param {Heads} heads @param {Only} only */
export function filtered(heads, { label, layer, metric, least }) {
  return heads.places
    .filter((place) => {
      if (layer !== null && place.layer !== layer) return false;
      const carried = heads.label(place.i);
      if (label === "?") {
        if (!heads.untested(place.i)) return false;
      } else if (label === "-") {
        if (carried || heads.untested(place.i)) return false;
      } else if (label === "*" ? !carried : label && carried !== label) return false;
      return !metric || heads.value(metric, place.i) >= least;
    })
    .map(({ i }) => i);
}

/**
 * The heads with the largest numbers, largest first; those without a number are left out.
 * @param {Heads} heads
 * @param {string} name
 * @param {number} n
 */
export function strongest(heads, name, n) {
  const all = heads.places.map(({ i }) => i).filter((i) => heads.value(name, i) === heads.value(name, i));
  return sorted(heads, all, { by: name, down: true }).slice(0, n);
}

// --- signs

/** @type {Record<string, string>} */
const LETTERS = {
  previous: "P",
  next: "N",
  same: "S",
  first: "F",
  separator: "E",
  punctuation: "U",
  induction: "I",
  duplicate: "D",
  rare: "R",
  positional: "O",
};

/**
 * A letter for each label, so that colour is never the only sign: its own, else the first of its title that is free.
 *
 * @param {{label: string, title: string}[]} labels
 * @returns {Map<string, string>}
 */
export function letters(labels) {
  /** @type {Map<string, string>} */
  const given = new Map(
    labels.filter(({ label }) => Object.hasOwn(LETTERS, label)).map(({ label }) => [label, LETTERS[label]]),
  );
  const taken = new Set(Object.values(LETTERS));
  for (const { label, title } of labels) {
    if (given.has(label)) continue;
    const letter = [...title.toUpperCase()].find((one) => /\p{L}/u.test(one) && !taken.has(one)) ?? "•";
    taken.add(letter);
    given.set(label, letter);
  }
  return given;
}
