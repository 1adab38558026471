/**
 * Grow a head: the training of a small transformer, step by saved step, recorded or live.
 *
 * A run comes once by HTTP and is scrubbed here, without asking anybody. `render` works in any page; the default export
 * is what a components-v2 mount calls.
 *
 * @typedef {import("./run.js").Settings} Settings
 * @typedef {import("./run.js").Run} Run
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
 * @property {string} plotly   where plotly.js lies, below the app's root
 * @property {boolean} [large]
 *
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 */
import { createAwaiting } from "../base/awaiting.js";
import { settle } from "../base/dom.js";
import { nearest } from "./curves.js";
import { createFrame } from "./frame.js";
import { same } from "./run.js";
import { MINE, RunsView } from "./runs.js";
import { mounting } from "../base/mounting.js";
import { lookup, readTheme } from "../base/scale.js";

/** Milliseconds a saved step is shown while it plays; longer for who prefers less motion. */
const BEAT = 160;
const CALM_BEAT = 700;
const LINK_PATIENCE = 4000;
/** A score from which a head is worth being shown large by itself. */
const STANDS_OUT = 0.3;

export class Grow extends RunsView {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {import("../base/scale.js").Theme} */
  theme;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    this.problem = "";
    this.follows = () => this.onLive();
    /** What has formed in the growing run so far, in words. */
    this.formed = "";
    this.formOpen = false;
    /** @type {{layer: number, head: number, second: boolean} | null} */
    this.peek = null;
    /** @type {number | null} step under the pointer on a curve */
    this.hovered = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.playing = undefined;
    /** @type {Uint32Array} */
    this.table = new Uint32Array(256);
    /** Of the scores, for canvases. @type {string[]} */
    this.colours = [];
    /** The score whose cells are outlined. */
    this.marked = "";
    this.awaiting = createAwaiting();
    this.announce = settle(400, () => this.sayStep());
    this.frame = createFrame(this);
    this.listen();
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    this.hear(data);
    this.problem = this.waiting ? "" : data.problem;
    if (this.isNews(data.seed)) {
      this.place = { ...data.select };
      this.agree();
      this.frame.form.fill(this.place);
      this.wantsMine = Boolean(data.live && same(data.live.settings, this.place));
    }
    if (data.live) this.followMine(data.live.key, this.follows);
    this.awaiting.arrived();
    this.whenStyled(() => {
      this.retheme();
      this.load();
    });
  }

  readTheme() {
    this.theme = readTheme(this.frame.probe);
    this.table = lookup(this.theme);
    const style = getComputedStyle(this.frame.probe);
    this.colours = ["one", "two", "three"].map((name) => {
      this.frame.probe.style.color = `var(--g-${name})`;
      return style.color;
    });
    this.frame.probe.style.color = "";
  }

  // --- what is chosen

  /** Which save is shown. */
  get index() {
    const run = /** @type {Run} */ (this.run);
    return this.place.at === null ? run.saved - 1 : Math.max(nearest(run.steps, this.place.at), 0);
  }

  /** Which save of the shown run, or of the one it is compared with. @param {boolean} second */
  at(second) {
    return second && this.other
      ? nearest(this.other.steps, /** @type {Run} */ (this.run).steps[this.index])
      : this.index;
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
    return best.value >= STANDS_OUT
      ? { ...best, second: false }
      : { layer: run.facts.n_layers - 1, head: 0, second: false };
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
    if (!this.press()) return;
    this.problem = "";
    this.pause();
    this.place = { ...settings, at: null, vs: this.place.vs === MINE ? "" : this.place.vs, layer: null, head: null };
    this.sendNow();
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

  /** The address of what is on screen; null if the server does not answer. */
  async link() {
    this.sendNow();
    const wanted = JSON.stringify(this.choice());
    const ready = () => JSON.stringify(this.data.echo) === wanted;
    await this.awaiting.until(ready, LINK_PATIENCE);
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
    this.frame.announce(
      [
        `Step ${run.steps[index]}`,
        loss === loss ? `loss ${loss.toFixed(2)} nats` : "before the first step",
        ...parts,
      ].join("; "),
    );
  }

  /** What has formed in the growing run, once for each thing. */
  sayLive() {
    const found = this.live?.run?.facts.moments.map(({ title }) => title).join("; ") ?? "";
    if (found && found !== this.formed) this.frame.announce(`Step ${this.live?.status?.step}: ${found}`);
    this.formed = found;
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
    if (!this.run || !this.hears(event)) return;
    const from = /** @type {Partial<HTMLInputElement> | undefined} */ (event.composedPath()[0]);
    // the table scrolls, the scrubber moves by itself
    if (from?.closest?.(".sl-table") || from?.type === "range") return;
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
    super.destroy();
    this.announce.cancel();
    // The run itself goes on: it belongs to the tab, and another view may be showing it already.
    if (this.live?.changed === this.follows) this.live.changed = () => {};
  }
}

const { render, mount } = mounting(Grow);
export { render, mount as default };
