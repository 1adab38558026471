/**
 * Grow a head: the training of a small transformer, step by saved step, recorded or live.
 *
 * A run comes once by HTTP and is scrubbed here, without asking anybody. `render` works in any page; the default export
 * is what a components-v2 mount calls.
 *
 * @typedef {import("./grow-run.js").Settings} Settings
 * @typedef {import("./grow-run.js").Run} Run
 * @typedef {{name: string, title: string, says: string, watch: string, grows: boolean}} Task
 * @typedef {Settings & {at: number | null, vs: string, layer: number | null, head: number | null}} Place
 *   at: step of training, null for the last; vs: the run that it is compared with, "" for none
 *
 * @typedef {object} Data
 * @property {number} seed   when it changes, `select` is taken from here
 * @property {Task[]} tasks
 * @property {{id: string, settings: Settings, title: string, address: string}[]} runs  recorded
 * @property {Place} select
 * @property {{key: string, settings: Settings, title: string} | null} live  this visitor's own run
 * @property {string} problem  why it could not be started
 * @property {number} asked    which press on Start these two answer; 0 for none
 * @property {string} limits   what a run of one's own may take, in a sentence
 * @property {{heads: number[], positions: string[], max_seed: number}} choices
 * @property {string} link
 * @property {Place} echo      what the link stands for
 * @property {boolean} [large]
 *
 * @typedef {import("./mounting.js").Callbacks} Callbacks
 */
import { settle, typing } from "./dom.js";
import { nearest } from "./grow-curves.js";
import { createFrame } from "./grow-frame.js";
import { follow } from "./grow-live.js";
import { runOf, same } from "./grow-run.js";
import { appRoot, mounting } from "./mounting.js";
import { lookup, readTheme } from "./scale.js";
import { HttpSource } from "./source.js";

/** The id of the visitor's own run; recorded ones have their name. */
export const MINE = "mine";
/** Milliseconds a saved step is shown while it plays; longer for who prefers less motion. */
const BEAT = 160;
const CALM_BEAT = 700;
const LINK_PATIENCE = 4000;
/** A score from which a head is worth being shown large by itself. */
const STANDS_OUT = 0.3;

/** Recorded runs, for the whole visit. */
const source = new HttpSource(appRoot());

export class Grow {
  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {Callbacks} */
    this.callbacks = {};
    /** @type {Place} */
    this.place = { ...data.select };
    /** @type {number | null} */
    this.seed = null;
    /** @type {Run | null} */
    this.run = null;
    /** @type {Run | null} what it is compared with */
    this.other = null;
    /** The run that is shown: its name, or "mine". */
    this.shownId = "";
    /** True: the visitor's own run is wanted as soon as it has something to show. */
    this.wantsMine = false;
    /** @type {import("./grow-live.js").Live | null} */
    this.live = null;
    this.problem = "";
    this.follows = () => this.onLive();
    /** What has formed in the growing run so far, in words. */
    this.formed = "";
    /** Which press on Start the server has not answered yet; 0 if none. */
    this.waiting = 0;
    this.formOpen = false;
    this.onHeadOfOther = false;
    /** @type {{layer: number, head: number, second: boolean} | null} */
    this.peek = null;
    /** @type {number | null} step under the pointer on a curve */
    this.hovered = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.playing = undefined;
    /** @type {import("./scale.js").Theme} */
    this.theme = /** @type {any} */ (null);
    this.table = new Uint32Array(256);
    /** Of the scores, for canvases. @type {string[]} */
    this.colours = [];
    /** The score whose cells are outlined. */
    this.marked = "";
    this.wanted = "";
    this.told = "";
    /** @type {(() => void) | null} */
    this.answered = null;
    /** @type {number | undefined} */
    this.pending = undefined;
    this.life = new AbortController();
    this.report = settle(300, () => this.send());
    this.announce = settle(400, () => this.sayStep());
    this.frame = createFrame(this);
    const { signal } = this.life;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme(), { signal });
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    if (this.waiting && data.asked === this.waiting) {
      this.waiting = 0;
      if (data.problem) this.live?.resume();
      else this.wantsMine = Boolean(data.live);
    }
    this.problem = this.waiting ? "" : data.problem;
    if (data.seed !== this.seed) {
      this.seed = data.seed;
      this.place = { ...data.select };
      this.told = JSON.stringify(this.choice());
      this.frame.form.fill(this.place);
      this.wantsMine = Boolean(data.live && same(data.live.settings, this.place));
    }
    if (data.live && data.live.key !== this.live?.key) {
      const live = follow(data.live.key, new URL(`sightline/grow/live/${encodeURIComponent(data.live.key)}/`, appRoot()).href);
      this.live = live;
      live.changed = this.follows;
    }
    this.answered?.();
    this.frame.styled.then(() => {
      if (this.life.signal.aborted) return;
      this.frame.host.style.visibility = "";
      this.retheme();
      this.load();
    });
  }

  retheme() {
    if (!this.frame.probe.isConnected) return;
    this.theme = readTheme(this.frame.probe);
    this.table = lookup(this.theme);
    const style = getComputedStyle(this.frame.probe);
    this.colours = ["one", "two", "three"].map((name) => {
      this.frame.probe.style.color = `var(--g-${name})`;
      return style.color;
    });
    this.frame.probe.style.color = "";
    this.draw();
  }

  // --- which runs

  get task() {
    return this.data.tasks.find((task) => task.name === this.place.task) ?? this.data.tasks[0];
  }

  /** Settings of the visitor's own run, as soon as there is one. */
  get mine() {
    return this.data.live?.settings ?? null;
  }

  /** The runs of the chosen task that can be shown. @returns {{id: string, title: string}[]} */
  known() {
    const found = this.data.runs.filter((run) => run.settings.task === this.place.task).map(({ id, title }) => ({ id, title }));
    if (this.mine?.task === this.place.task && this.live?.run) found.push({ id: MINE, title: `yours: ${this.data.live?.title}` });
    return found;
  }

  /** The run that stands for the place: one's own, the recorded one with these settings, else the task's first. */
  wantedId() {
    if (this.wantsMine && this.live?.run && this.mine?.task === this.place.task) return MINE;
    const recorded = this.data.runs.filter((run) => run.settings.task === this.place.task);
    return (recorded.find((run) => same(run.settings, this.place)) ?? recorded[0])?.id ?? "";
  }

  /** @param {string} id @returns {Promise<Run>} */
  async fetch(id) {
    if (id === MINE) return /** @type {Run} */ (this.live?.run);
    const found = this.data.runs.find((run) => run.id === id);
    if (!found) throw new Error(`There is no recorded run ${id}.`);
    return runOf(await source.pack(found.address));
  }

  /** @param {Run} run */
  idOf(run) {
    return run === this.live?.run ? MINE : run.facts.name;
  }

  /** Bring in the runs of the place, unless they are here. */
  async load() {
    const id = this.wantedId();
    const vs = this.place.vs && this.place.vs !== id && this.known().some((run) => run.id === this.place.vs) ? this.place.vs : "";
    const name = `${id}|${vs}`;
    if (this.run && name === this.wanted) return this.draw();
    this.wanted = name;
    this.frame.drawChoice();
    try {
      const [run, other] = await Promise.all([this.fetch(id), vs ? this.fetch(vs) : null]);
      if (this.wanted !== name || this.life.signal.aborted) return;
      [this.run, this.other, this.shownId] = [run, other, id];
      if (!other) this.onHeadOfOther = false;
      this.frame.state.show("ready");
      this.draw();
    } catch (error) {
      if (this.wanted !== name) return;
      this.wanted = "";
      this.frame.state.show("error", /** @type {Error} */ (error).message);
    }
  }

  again() {
    this.wanted = "";
    this.frame.state.show("loading");
    this.load();
  }

  /** Why another run is shown than the settings of the link ask for; "" if it is the one. */
  missing() {
    if (!this.run || !this.task.grows || this.waiting || this.shownId === MINE || same(this.run.facts.settings, this.place)) return "";
    if (this.live && same(this.mine ?? this.place, this.place)) return "";
    const { heads, positions, seed } = this.place;
    return `There is no recorded run with ${heads} head${heads === 1 ? "" : "s"}, ${positions === "none" ? "no" : positions} positions and seed ${seed}; ${this.run.facts.title} is shown. Grow yours: the same settings give the same run.`;
  }

  /** Where the numbers of the shown run can be had as a file. */
  fileAddress() {
    const path = this.shownId === MINE ? `sightline/grow/live/${encodeURIComponent(this.live?.key ?? "")}/file` : `${this.data.runs.find((run) => run.id === this.shownId)?.address}/file`;
    return new URL(path, appRoot()).href;
  }

  // --- what is chosen

  /** Which save is shown. */
  get index() {
    const run = /** @type {Run} */ (this.run);
    return this.place.at === null ? run.saved - 1 : Math.max(nearest(run.steps, this.place.at), 0);
  }

  /** Which save of the shown run, or of the one it is compared with. @param {boolean} second */
  at(second) {
    return second && this.other ? nearest(this.other.steps, /** @type {Run} */ (this.run).steps[this.index]) : this.index;
  }

  /** The head that is shown large: the chosen one, else the best at what the task is about. */
  get head() {
    const run = /** @type {Run} */ (this.run);
    const second = this.onHeadOfOther && Boolean(this.other);
    const { n_layers: layers, n_heads: heads, scores } = (second && this.other ? this.other : run).facts;
    const { layer, head } = this.place;
    if (layer !== null && head !== null && layer < layers && head < heads) return { layer, head, second };
    // The score that the task is about: looking at the token before is a help, never the aim.
    const aims = scores.map((_, s) => s).filter((s) => scores[s].name !== "previous");
    const best = run.best(aims[aims.length - 1] ?? 0);
    // While no head stands out, one place: a picture that jumps from head to head shows nothing.
    return best.value >= STANDS_OUT ? { ...best, second: false } : { layer: run.facts.n_layers - 1, head: 0, second: false };
  }

  /** @param {string} name */
  chooseTask(name) {
    if (name === this.place.task) return;
    const first = this.data.runs.find((run) => run.settings.task === name);
    this.pause();
    this.wantsMine = this.mine?.task === name && Boolean(this.live?.run);
    const settings = this.wantsMine && this.mine ? this.mine : (first?.settings ?? { ...this.place, task: name });
    this.place = { ...settings, task: name, at: null, vs: "", layer: null, head: null };
    this.frame.form.fill(this.place);
    this.changed();
  }

  /** @param {string} id */
  chooseRun(id) {
    this.wantsMine = id === MINE;
    const settings = id === MINE ? this.mine : this.data.runs.find((run) => run.id === id)?.settings;
    if (!settings) return;
    this.place = { ...this.place, ...settings, layer: null, head: null, vs: this.place.vs === id ? "" : this.place.vs };
    this.frame.form.fill(this.place);
    this.changed();
  }

  /** @param {string} id  "" for nothing */
  compare(id) {
    this.place = { ...this.place, vs: id };
    this.changed();
  }

  changed() {
    this.report();
    this.load();
  }

  /** @param {number} index  of a save; kept within the run */
  goTo(index) {
    if (!this.run) return;
    const last = this.run.saved - 1;
    const to = Math.min(Math.max(index, 0), last);
    // The last save is "the last", so that a growing run is followed.
    this.place.at = to === last ? null : this.run.steps[to];
    this.hovered = null;
    this.drawSoon();
    this.announce();
    if (!this.playing) this.report();
  }

  /** @param {number} index */
  jump(index) {
    this.pause();
    this.goTo(index);
  }

  /** @param {number} step  of training */
  jumpTo(step) {
    if (this.run) this.jump(nearest(this.run.steps, step));
  }

  play() {
    if (!this.run) return;
    if (this.playing) return this.pause();
    if (this.index === this.run.saved - 1) this.goTo(0);
    const beat = matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM_BEAT : BEAT;
    this.playing = setInterval(() => {
      const run = /** @type {Run} */ (this.run);
      if (this.index >= run.saved - 1) return this.pause();
      this.goTo(this.index + 1);
      if (this.index >= run.saved - 1) this.pause();
    }, beat);
    this.draw();
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = undefined;
    this.report();
    this.drawSoon();
  }

  /** @param {number} layer @param {number} head @param {boolean} second */
  chooseHead(layer, head, second) {
    this.place = { ...this.place, layer, head };
    this.onHeadOfOther = second;
    this.peek = null;
    this.report();
    this.draw();
  }

  /** @param {{layer: number, head: number, second: boolean} | null} place */
  setPeek(place) {
    this.peek = place;
    this.drawSoon();
  }

  /** @param {string} score  its name; "" for none */
  setMarked(score) {
    this.marked = score;
    this.draw();
  }

  // --- one's own run

  /** @param {boolean} open */
  setForm(open) {
    this.formOpen = open;
    this.frame.drawChoice();
  }

  /** @param {Settings} settings */
  start(settings) {
    if (this.waiting) return;
    this.waiting = Date.now();
    this.live?.end(); // the server forgets it for the new one
    this.problem = "";
    this.pause();
    this.place = { ...settings, at: null, vs: this.place.vs === MINE ? "" : this.place.vs, layer: null, head: null };
    this.report.cancel();
    this.send();
    this.callbacks.setTrigger?.("start", { ...settings, nonce: this.waiting });
    this.setForm(false);
    this.frame.focusStop();
  }

  stop() {
    if (!this.waiting) this.live?.stop();
  }

  /** The live run has something new. */
  onLive() {
    if (this.life.signal.aborted) return;
    this.frame.drawChoice();
    this.sayLive();
    if (this.wantsMine && this.shownId !== MINE) this.load();
    else this.drawSoon();
  }

  // --- what Python is told

  choice() {
    const { task, seed, heads, positions, at, vs, layer, head } = this.place;
    return { task, seed, heads, positions, at, vs: vs === MINE ? "" : vs, layer, head };
  }

  send() {
    const choice = this.choice();
    const text = JSON.stringify(choice);
    if (text === this.told) return;
    this.told = text;
    this.callbacks.setState?.("view", choice);
  }

  /** The address of what is on screen; null if the server does not answer. */
  async link() {
    this.report.cancel();
    this.send();
    const wanted = JSON.stringify(this.choice());
    const ready = () => JSON.stringify(this.data.echo) === wanted;
    if (!ready()) {
      await new Promise((resolve) => {
        this.answered = () => ready() && resolve(null);
        setTimeout(resolve, LINK_PATIENCE);
      });
      this.answered = null;
    }
    return ready() ? location.origin + location.pathname + this.data.link : null;
  }

  // --- drawing

  sayStep() {
    if (!this.run || this.playing) return;
    const { run, index } = this;
    const parts = run.facts.scores.map((score, s) => {
      const { layer, head } = run.best(s);
      return `${score.title}, layer ${layer} head ${head}: ${run.score(index, s, layer, head).toFixed(2)}`;
    });
    const loss = run.loss[index];
    this.frame.announce([`Step ${run.steps[index]}`, loss === loss ? `loss ${loss.toFixed(2)} nats` : "before the first step", ...parts].join("; "));
  }

  /** What has formed in the growing run, once for each thing. */
  sayLive() {
    const found = this.live?.run?.facts.moments.map(({ title }) => title).join("; ") ?? "";
    if (found && found !== this.formed) this.frame.announce(`Step ${this.live?.status?.step}: ${found}`);
    this.formed = found;
  }

  drawSoon() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  draw() {
    if (!this.theme || this.life.signal.aborted) return;
    this.frame.drawChoice();
    if (!this.run?.saved) return;
    this.frame.draw();
    const ready = `${this.shownId}:${this.run.steps[this.index]}`;
    if (this.frame.host.dataset.ready !== ready) this.frame.host.dataset.ready = ready;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (!this.frame.host.isConnected || !this.run || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const from = /** @type {any} */ (event.composedPath()[0]);
    if (from?.closest?.(".sl-table") || from?.type === "range") return; // the table scrolls, the scrubber moves by itself
    const { key } = event;
    if (key === "ArrowRight") this.jump(this.index + 1);
    else if (key === "ArrowLeft") this.jump(this.index - 1);
    else if (key === "Home") this.jump(0);
    else if (key === "End") this.jump(Infinity);
    else if (key === " " && !from?.closest?.("button, summary, a, label, input")) this.play();
    else return;
    event.preventDefault();
  }

  destroy() {
    this.pause();
    this.life.abort();
    this.report.cancel();
    this.announce.cancel();
    // The run itself goes on: it belongs to the tab, and another view may be showing it already.
    if (this.live?.changed === this.follows) this.live.changed = () => {};
    this.frame.remove();
  }
}

const { render, mount } = mounting(Grow);
export { render, mount as default };
