/**
 * A run that is being grown on the server: asked for about twice a second, which is also the sign that somebody is
 * here.
 *
 * It belongs to the tab and not to the view: it goes on while another page of the app is open, and ends with the tab.
 *
 * @typedef {object} Status
 * @property {"queued" | "starting" | "running" | "finished" | "stopped" | "failed"} state
 * @property {number} ahead   runs before it in the queue
 * @property {number} step    steps of training done
 * @property {number} n_steps
 * @property {number} seconds of training
 * @property {string} says    why it ended, if there is more to say
 *
 * @typedef {import("./run.js").RunPack} RunPack
 * @typedef {RunPack["meta"] & {status: Status}} LiveMeta
 * @typedef {import("../base/wire.js").Pack<LiveMeta, RunPack["arrays"]>} SavesPack
 * @typedef {import("../base/wire.js").Pack<{status: Status}, {}> | SavesPack} LivePack without saves before the first
 *   one
 */
import { Run } from "./run.js";
import { unpack } from "../base/wire.js";

const EVERY = 400;
/** After its end the run stays on the server, to be saved, as long as somebody asks. */
const EVERY_AFTER = 4000;
/** So many answers may fail in a row before the run is taken for lost. */
const PATIENCE = 8;

/** @param {Status} status */
export function going({ state }) {
  return state === "queued" || state === "starting" || state === "running";
}

/** Where a run stands, in one sentence. @param {Status} status */
export function statusWords({ state, ahead, step, n_steps: n, seconds, says }) {
  const at = `step ${step.toLocaleString("en")} of ${n.toLocaleString("en")}, ${Math.round(seconds)} s`;
  if (state === "queued")
    return ahead > 0
      ? `In the queue: ${ahead} run${ahead === 1 ? "" : "s"} before yours. It starts by itself.`
      : "In the queue: yours is next. It starts by itself.";
  if (state === "starting") return "A process of its own is being started…";
  if (state === "running") return `Growing: ${at}`;
  if (state === "failed") return says || "The run ended by itself.";
  return `${state === "stopped" ? "Stopped" : "Finished"}: ${at}${says ? `. ${says}` : ""}`;
}

/** @type {Map<string, Live>} */
const lives = new Map();

export class Live {
  /**
   * @param {string} key
   * @param {string} base address of the run's routes, ending with "/"
   * @param {typeof fetch} [get]
   */
  constructor(key, base, get = (...args) => fetch(...args)) {
    this.key = key;
    this.base = base;
    this.get = get;
    /** @type {Run | null} */
    this.run = null;
    /** @type {Status | null} */
    this.status = null;
    this.lost = false;
    /** @type {() => void} who shows it */
    this.changed = () => {};
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.ended = false;
  }

  /** Ask once, then again after a while. */
  async ask() {
    clearTimeout(this.timer);
    if (this.ended) return;
    try {
      const answer = await this.get(`${this.base}?from=${this.run?.saved ?? 0}`, { cache: "no-store" });
      if (this.ended) return;
      if (answer.status === 410) return this.lose();
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const pack = /** @type {LivePack} */ (unpack(new Uint8Array(await answer.arrayBuffer())));
      if (this.ended) return;
      this.failures = 0;
      const before = JSON.stringify(this.status);
      this.status = pack.meta.status;
      let fresh = 0;
      if (hasSaves(pack)) {
        this.run ??= new Run(pack.meta.facts);
        fresh = this.run.add(pack);
      }
      if (fresh || JSON.stringify(this.status) !== before) this.changed();
    } catch {
      this.failures += 1;
      if (this.failures >= PATIENCE) return this.lose();
    }
    if (!this.ended)
      this.timer = setTimeout(() => this.ask(), this.status && !going(this.status) ? EVERY_AFTER : EVERY);
  }

  lose() {
    this.end();
    this.lost = true;
    if (!this.status || going(this.status)) {
      this.status = {
        state: "failed",
        ahead: 0,
        step: this.status?.step ?? 0,
        n_steps: this.status?.n_steps ?? 0,
        seconds: this.status?.seconds ?? 0,
        says: "The server no longer has this run: it may have been restarted. What was saved until then stays here.",
      };
    }
    this.changed();
  }

  /** Ask no more. */
  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }

  /** Ask again, after `end`. */
  resume() {
    this.ended = false;
    this.ask();
  }

  /** End the training; what was saved stays. */
  async stop() {
    await this.get(`${this.base}stop`, { method: "POST" }).catch(() => {});
    await this.ask();
  }

  /** Nobody looks any more. */
  leave() {
    this.end();
    navigator.sendBeacon?.(`${this.base}leave`);
  }
}

/** @param {LivePack} pack @returns {pack is SavesPack} */
function hasSaves(pack) {
  return "steps" in pack.arrays && pack.arrays.steps.data.length > 0;
}

/**
 * The run of a key, followed by this tab from now on; others that it followed are left.
 * @param {string} key
 * @param {string} base
 * @returns {Live}
 */
export function follow(key, base) {
  const known = lives.get(key);
  if (known) return known;
  for (const old of lives.values()) old.end();
  lives.clear();
  const live = new Live(key, base);
  lives.set(key, live);
  live.ask();
  return live;
}

if (typeof window !== "undefined") {
  window.addEventListener("pagehide", () => {
    for (const live of lives.values()) live.leave();
  });
  // Back from the browser's memory of pages: the run was left when the page was.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const live of lives.values()) live.lose();
  });
}
