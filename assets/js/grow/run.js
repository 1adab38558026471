/**
 * A training run as the browser knows it: saved steps, each with its loss, the score of every head and every map.
 *
 * A recorded run comes whole; a live one grows by what each answer adds. Rows are queries, columns are keys.
 *
 * @typedef {{task: string, seed: number, heads: number, positions: string}} Settings
 *   heads: in each layer; positions: "learned", "rotary" or "none"
 * @typedef {{name: string, title: string, short: string, says: string, even: number, targets: number[]}} Score
 *   a number from 0 to 1 that every head has at every saved step; even: of a head that looks at everything alike;
 *   targets: the cells that count on this row, query, key, query, key …
 * @typedef {{name: string, title: string, step: number, layer?: number, head?: number}} Moment  of formation
 * @typedef {object} Facts
 * @property {string} name       short and safe as a file name
 * @property {string} title      its settings in words
 * @property {Settings} settings
 * @property {string[]} tokens   of the row that the maps show: the queries
 * @property {string[]} [keys]   the other axis; none: the same
 * @property {boolean} [causal]  no query may look at a later key; none: so it is
 * @property {string} [measured] what the loss is, if it is not the usual one
 * @property {number[]} [scored]  1 for each of them whose guess counts
 * @property {number} n_layers
 * @property {number} n_heads
 * @property {number} n_steps    of the whole run
 * @property {number} [n_parameters]
 * @property {number | null} chance  loss of a guesser, nats
 * @property {Score[]} scores
 * @property {Moment[]} moments
 * @property {string} [moments_say] how the moments are found
 * @property {string} [made]     where and when it was recorded
 *
 * @typedef {import("../base/wire.js").Buffer<Float32Array>} Floats
 * @typedef {object} Saves  an entry for each saved step of the answer
 * @property {import("../base/wire.js").Buffer<Int32Array>} steps
 * @property {Floats} loss @property {Floats} right @property {Floats} seconds  NaN where there is none
 * @property {Floats} scores  [saved, score, layer, head]
 * @property {import("../base/wire.js").Buffer<Uint8Array>} maps [saved, layer, head, cell], row by row, of causal runs
 *   lower triangles
 *
 * @typedef {import("../base/wire.js").Pack<{facts: Facts, first: number}, Saves>} RunPack first: number of its first
 *   save
 */
import { U1, weight } from "../base/wire.js";

export class Run {
  /** @param {Facts} facts */
  constructor(facts) {
    this.facts = facts;
    /** @type {number[]} steps of training done at each save */
    this.steps = [];
    /** @type {number[]} nats; NaN before the first step */
    this.loss = [];
    /** @type {number[]} share of right answers, NaN where it was not measured */
    this.right = [];
    /** @type {number[]} seconds of training */
    this.seconds = [];
    /** @type {Uint8Array[]} [layer, head, query, key] of each save */
    this.maps = [];
    /** @type {Float32Array[]} [score, layer, head] of each save */
    this.scores = [];
  }

  get saved() {
    return this.steps.length;
  }

  get causal() {
    return this.facts.causal ?? true;
  }

  /** Tokens on the columns of the maps. */
  get keys() {
    return this.facts.keys ?? this.facts.tokens;
  }

  /** Rows and columns of a map. */
  get shape() {
    return { nQuery: this.facts.tokens.length, nKey: this.keys.length };
  }

  /**
   * Take in the saves of an answer that are not here yet.
   *
   * @param {RunPack} pack
   * @returns {number} how many were new
   */
  add({ meta, arrays }) {
    this.facts = { ...this.facts, ...meta.facts };
    const { n_layers: layers, n_heads: heads, scores } = this.facts;
    const { nQuery, nKey } = this.shape;
    const nMap = layers * heads * (this.causal ? (nQuery * (nQuery + 1)) / 2 : nQuery * nKey);
    const nScores = scores.length * layers * heads;
    const [count, first] = [arrays.steps.data.length, meta.first];
    let fresh = 0;
    for (let i = 0; i < count; i++) {
      if (first + i !== this.saved) continue; // already here, or something in between is missing
      this.steps.push(arrays.steps.data[i]);
      this.loss.push(arrays.loss.data[i]);
      this.right.push(arrays.right.data[i]);
      this.seconds.push(arrays.seconds.data[i]);
      const maps = arrays.maps.data.subarray(i * nMap, (i + 1) * nMap);
      this.maps.push(this.causal ? square(maps, nQuery) : maps);
      this.scores.push(arrays.scores.data.subarray(i * nScores, (i + 1) * nScores));
      fresh += 1;
    }
    return fresh;
  }

  /**
   * The codes of one head's map.
   * @param {number} at which save
   * @param {number} layer
   * @param {number} head
   * @returns {Uint8Array}
   */
  map(at, layer, head) {
    const n = this.shape.nQuery * this.shape.nKey;
    const from = (layer * this.facts.n_heads + head) * n;
    return this.maps[at].subarray(from, from + n);
  }

  /**
   * 0..1, NaN or MASKED.
   * @param {number} at
   * @param {number} layer
   * @param {number} head
   * @param {number} query
   * @param {number} key
   */
  weight(at, layer, head, query, key) {
    return weight(this.map(at, layer, head)[query * this.shape.nKey + key], U1);
  }

  /** @param {number} at @param {number} score @param {number} layer @param {number} head */
  score(at, score, layer, head) {
    const { n_layers: layers, n_heads: heads } = this.facts;
    return this.scores[at]?.[(score * layers + layer) * heads + head] ?? NaN;
  }

  /** One score of one head over all saves. @param {number} score @param {number} layer @param {number} head */
  curve(score, layer, head) {
    return this.scores.map((_, at) => this.score(at, score, layer, head));
  }

  /** Every head, layer by layer. @returns {{layer: number, head: number}[]} */
  get heads() {
    const { n_layers: layers, n_heads: heads } = this.facts;
    return Array.from({ length: layers * heads }, (_, i) => ({ layer: Math.floor(i / heads), head: i % heads }));
  }

  /**
   * The head with the largest score at the last save.
   * @param {number} score
   * @returns {{layer: number, head: number, value: number}}
   */
  best(score) {
    const at = this.saved - 1;
    let best = { layer: 0, head: 0, value: -Infinity };
    for (const { layer, head } of this.heads) {
      const value = this.score(at, score, layer, head);
      if (value > best.value) best = { layer, head, value };
    }
    return best;
  }

  /**
   * What a head is at a save: its largest score, if that is large enough to call it so.
   * @param {number} at
   * @param {number} layer
   * @param {number} head
   * @param {number} [least]
   */
  role(at, layer, head, least = 0.4) {
    let found = null;
    for (let score = 0; score < this.facts.scores.length; score++) {
      const value = this.score(at, score, layer, head);
      if (value >= least && (!found || value > found.value)) found = { score, value };
    }
    return found;
  }
}

/**
 * Lower triangles, row by row, as whole maps: above the diagonal everything is masked.
 *
 * @param {Uint8Array} cells  one triangle after another @param {number} n
 */
export function square(cells, n) {
  const size = (n * (n + 1)) / 2;
  const count = cells.length / size;
  const maps = new Uint8Array(count * n * n).fill(U1.masked);
  for (let map = 0, from = 0; map < count; map++) {
    for (let query = 0; query < n; query++) {
      maps.set(cells.subarray(from, from + query + 1), (map * n + query) * n);
      from += query + 1;
    }
  }
  return maps;
}

/** @param {RunPack} pack */
export function runOf(pack) {
  const run = new Run(pack.meta.facts);
  run.add(pack);
  return run;
}

/** @param {Settings} a @param {Settings | null | undefined} b */
export function same(a, b) {
  return Boolean(b && a.task === b.task && a.seed === b.seed && a.heads === b.heads && a.positions === b.positions);
}

/** A number for a table or a file: empty if it is none. @param {number | null} x @param {number} [digits] */
export function cell(x, digits = 4) {
  return x === null || x !== x ? "" : x.toFixed(digits);
}

/** Every saved step in numbers: header and rows. @param {Run} run */
export function table(run) {
  const { scores } = run.facts;
  const accurate = run.right.some((x) => x === x);
  const head = ["step", "loss, nats"];
  if (accurate) head.push("guessed right, share");
  for (const { title } of scores)
    for (const { layer, head: h } of run.heads) head.push(`${title}, layer ${layer} head ${h}`);
  const rows = run.steps.map((step, at) => {
    const row = [String(step), cell(run.loss[at])];
    if (accurate) row.push(cell(run.right[at], 3));
    scores.forEach((_, score) => {
      for (const { layer, head: h } of run.heads) row.push(cell(run.score(at, score, layer, h), 3));
    });
    return row;
  });
  return { head, rows };
}

/** @param {string[][]} lines */
export function csv(lines) {
  const quoted = (/** @type {string} */ text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return `${lines.map((line) => line.map(quoted).join(",")).join("\r\n")}\r\n`;
}

/** The curves as CSV. @param {Run} run */
export function curvesCsv(run) {
  const { head, rows } = table(run);
  return csv([head, ...rows]);
}

/**
 * One map as CSV: the first column and the first line are the tokens with their places.
 * @param {Run} run
 * @param {number} at
 * @param {number} layer
 * @param {number} head
 */
export function mapCsv(run, at, layer, head) {
  const [queries, keys] = [run.facts.tokens, run.keys].map((names) => names.map((t, i) => `${i} ${t}`));
  const rows = queries.map((name, q) => [
    name,
    ...keys.map((_, k) => {
      const w = run.weight(at, layer, head, q, k);
      return w < 0 ? "" : cell(w, 3);
    }),
  ]);
  return csv([["query \\ key", ...keys], ...rows]);
}
