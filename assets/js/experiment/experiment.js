/**
 * One question about a real run, and what switching each head off does to its answer, beside what chance does.
 *
 * Nothing is computed here but order and place. `render` works in any page; the default export is what a components-v2
 * mount calls.
 *
 * @typedef {import("./told").Data} Data
 * @typedef {import("./told").Swept} Swept
 * @typedef {import("./told").Effected} Effected
 * @typedef {import("../base/mounting.js").Callbacks} Callbacks
 * @typedef {import("../base/scale.js").Theme & {diverging: import("../base/scale.js").Rgb[]}} ExperimentTheme
 */
import { appRoot, dataAddress } from "../base/addresses.js";
import { mark, settle } from "../base/dom.js";
import { mounting } from "../base/mounting.js";
import { readTheme } from "../base/scale.js";
import { HttpSource, LostError } from "../base/source.js";
import { View } from "../base/view.js";
import { Overview } from "../picture/overview.js";
import { readColours } from "../picture/signed.js";
import { everyHead, Heads, proposalOf, questionOf, switchedOff, written } from "./data.js";
import { createFrame } from "./frame.js";
import { createPolling } from "./polling.js";
import { effect, verdict } from "./words.js";

/** @extends {View<Data>} */
export class ExperimentView extends View {
  /** @type {ReturnType<typeof createFrame>} */
  frame;
  /** The page's colours, from when the style sheet is there. @type {ExperimentTheme} */
  theme;
  /** The heads of the model, from when its pictures are there. @type {Heads | null} */
  heads = null;
  /** @type {Overview | null} */
  overview = null;

  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    /** @type {HttpSource | null} */
    this.source = null;
    this.sourceKey = "";
    /** @type {number | null} */
    this.selected = null;
    /** @type {number | null} */
    this.hovered = null;
    /** Which of the questions is asked, and what stands in its slots. */
    this.asks = 0;
    /** @type {{[slot: string]: number | string}} */
    this.slots = {};
    this.fill = "mean";
    /** A head was chosen by hand: a new result does not choose another. */
    this.chosenByHand = false;
    /** How the sweep stands, and what it found. @type {import("./told").Told<Swept> | null} */
    this.told = null;
    /** @type {Swept | null} */
    this.swept = null;
    /** How the chosen head's own experiment stands. @type {import("./told").Told<Effected> | null} */
    this.toldOfOne = null;
    /** @type {Effected | null} */
    this.one = null;
    this.sweeping = createPolling("sweep", (told, found) => this.take(told, found));
    this.measuring = createPolling("effect", (told, found) => this.takeOne(told, found));
    this.measureLater = settle(250, () => this.measure());
    this.lookLater = settle(350, () => this.look());
    this.frame = createFrame(this);
    this.listen();
    addEventListener("pagehide", () => this.leaveAll(), { signal: this.life.signal });
  }

  /** @param {Data} data @param {Callbacks} callbacks */
  update(data, callbacks) {
    this.data = data;
    this.callbacks = callbacks;
    const another = data.key !== this.sourceKey;
    if (another) {
      this.source = new HttpSource(dataAddress(data.key), {
        onLost: () => this.callbacks.setTrigger?.("lost", data.key),
      });
      this.sourceKey = data.key;
      this.heads = this.overview = null;
    } else if (this.source?.lost) {
      this.source.lost = false;
      this.heads = null;
    }
    const fromPython = this.isNews(data.seed);
    this.whenStyled(() => {
      this.readTheme();
      if (!this.heads) this.load();
      else if (fromPython) this.adopt();
      else this.draw();
    });
  }

  readTheme() {
    const { probe } = this.frame;
    this.theme = { ...readTheme(probe), diverging: readColours(probe).signed };
  }

  /** Fetch the heads of this text, and what is known of the experiment. */
  async load() {
    const { source, sourceKey } = this;
    if (!source) return;
    try {
      const pack = await source.overview();
      if (this.sourceKey !== sourceKey || this.life.signal.aborted) return;
      this.overview = new Overview(sourceKey, pack);
      this.heads = new Heads(this.overview.layers);
      this.frame.state.show("ready");
      this.adopt();
    } catch (error) {
      if (this.sourceKey !== sourceKey || this.life.signal.aborted) return;
      this.frame.state.show(error instanceof LostError ? "lost" : "error", /** @type {Error} */ (error).message);
    }
  }

  again() {
    if (this.source) this.source.lost = false;
    this.load();
  }

  /** Take the choice that Python has: on opening, and when something outside changed it. */
  adopt() {
    const { data, heads } = this;
    if (!heads) return;
    const found = data.select.question ? proposalOf(data.questions, data.select.question) : null;
    this.asks = found?.at ?? 0;
    this.slots = found?.chosen ?? {};
    this.fill = data.select.fill;
    this.selected = heads.indexOf(data.select.layer, data.select.head);
    this.agree();
    this.look();
  }

  /** The question in plain data; null where none can be asked. */
  get question() {
    const proposal = this.data.questions[this.asks];
    return proposal ? questionOf(proposal, this.slots) : null;
  }

  // --- asking

  /** What is known of the experiment that is asked for now. */
  look() {
    const { source, question } = this;
    this.lookLater.cancel();
    this.told = this.swept = this.toldOfOne = this.one = null;
    this.heads?.take(null);
    this.measuring.leave();
    if (source && question) this.sweeping.look(source, everyHead(this.fill), question);
    this.draw();
  }

  /** Switch each head off. */
  begin() {
    this.lookLater.flush();
    this.sweeping.begin();
  }

  stop() {
    this.sweeping.stop();
  }

  /** @param {import("./told").Told<Swept>} told @param {Swept | null} found */
  take(told, found) {
    const before = this.told;
    this.told = told;
    const another = found !== this.swept;
    this.swept = found;
    if (!this.heads) return;
    if (told.state === "none" && this.data.example && !before) this.sweeping.begin(); // an example shows something
    if (another) {
      this.heads.take(found);
      const first = this.heads.ranked[0];
      if (found && before?.state === "working" && first !== undefined && !this.chosenByHand) {
        this.selected = first;
        this.report();
      }
      if (found && this.selected !== null && !this.one) this.measureLater();
    }
    this.draw();
    if (before?.state === "working" && told.state !== "working") {
      const { heads } = this;
      this.announce(
        told.state === "ready" && found
          ? verdict(found, (one) => heads.nameOf(Number(one.layer), Number(one.head)))
          : told.says,
      );
    }
  }

  /** What the chosen head alone does, in full. */
  measure() {
    const { source, question, selected, heads } = this;
    this.toldOfOne = this.one = null;
    if (!source || !question || selected === null || !heads) return;
    this.measuring.look(source, [switchedOff(heads.places[selected], this.fill)], question).then((told) => {
      if (told?.state === "none") this.measuring.begin();
    });
  }

  /** @param {import("./told").Told<Effected>} told @param {Effected | null} found */
  takeOne(told, found) {
    this.toldOfOne = told;
    this.one = found;
    this.frame.chosen.draw();
  }

  // --- choosing

  /** @param {number} at  of the questions */
  ask(at) {
    this.asks = at;
    this.slots = {};
    this.asked();
  }

  /** @param {string} name @param {number | string} value */
  setSlot(name, value) {
    this.slots = { ...this.slots, [name]: value };
    this.asked();
  }

  /** @param {string} fill */
  setFill(fill) {
    this.fill = fill;
    this.asked();
  }

  asked() {
    this.report();
    this.frame.ask.draw();
    this.lookLater();
  }

  /** @param {number} i @param {string} from  the part in which it was chosen */
  choose(i, from) {
    this.chosenByHand = true;
    if (i !== this.selected) {
      this.selected = i;
      this.toldOfOne = this.one = null;
      this.announce(this.says(i));
      this.report();
    }
    this.frame.marks(from);
    this.frame.chosen.draw();
    if (!this.one) this.measureLater();
  }

  /** @param {number | null} i */
  hover(i) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.frame.marks("hover");
  }

  /** Open a head in the explorer. @param {number} i */
  open(i) {
    this.selected = i;
    this.leave("");
  }

  /** Something that only Python can do. @param {string} name @param {object} [more] */
  wish(name, more = {}) {
    this.callbacks.setTrigger?.("wish", { name, ...more, at: Date.now() });
  }

  landing() {
    return this.heads ? this.frame.ask.button : null;
  }

  choice() {
    const { heads, selected, question } = this;
    const place = selected === null || !heads ? null : heads.places[selected];
    return {
      ...(place ? { layer: place.layer, head: place.head } : {}),
      question: question ? written(question) : "",
      fill: this.fill,
    };
  }

  /** Where a head's link leads: this view's link with that head, on the first page. @param {number} i */
  address(i) {
    const { layer, head } = /** @type {Heads} */ (this.heads).places[i];
    const params = new URLSearchParams(this.data.link ?? "");
    params.set("l", String(layer));
    params.set("h", String(head));
    return new URL(`?${params}`, appRoot()).href;
  }

  /** A head in one sentence. @param {number} i */
  says(i) {
    const heads = /** @type {Heads} */ (this.heads);
    const x = heads.effects[i];
    if (x !== x) return `${heads.titleOf(i)}: not switched off yet`;
    const beyond = heads.beyond(i);
    const than = beyond === null ? "" : beyond ? ", beyond what chance does" : ", inside what chance does";
    return `${heads.titleOf(i)}: ${effect(heads.question, x, heads.unit)} to be switched off${than}`;
  }

  /** @param {string} text */
  announce(text) {
    this.frame.announce(text);
  }

  draw() {
    if (!this.heads || !this.theme || !this.frame.host.isConnected) return;
    this.frame.draw();
    mark(this.frame.host, "data-ready", `${this.sourceKey}:${this.told?.state ?? "none"}`);
  }

  /** What runs for this page alone is stopped. */
  leaveAll() {
    this.sweeping.leave();
    this.measuring.leave();
    this.frame.lenses.leave();
  }

  destroy() {
    super.destroy();
    this.measureLater.cancel();
    this.lookLater.cancel();
    this.leaveAll();
  }
}

const { render, mount } = mounting(ExperimentView);
export { render, mount as default };
