/**
 * Which runs Grow a head shows: the visitor's own, the recorded one with the chosen settings, and what it is compared
 * with.
 *
 * @typedef {import("./grow.js").Data} Data
 * @typedef {import("./grow.js").Place} Place
 * @typedef {import("./run.js").Run} Run
 */
import { appRoot } from "../base/addresses.js";
import { follow } from "./live.js";
import { runOf, same } from "./run.js";
import { HttpSource } from "../base/source.js";
import { View } from "../base/view.js";
import { unpack } from "../base/wire.js";

/** The id of the visitor's own run; recorded ones have their name. */
export const MINE = "mine";

/** Recorded runs, for the whole visit. */
const source = new HttpSource(appRoot());

/**
 * @typedef {import("../base/shell.js").Shell & {state: import("../base/states.js").State, drawChoice: () => void}}
 *   Frame
 */

/** @extends {View<Data, Frame>} */
export class RunsView extends View {
  /** @param {ShadowRoot | HTMLElement} root @param {Data} data */
  constructor(root, data) {
    super(root, data);
    /** @type {Place} */
    this.place = { ...data.select };
    /** @type {Run | null} */
    this.run = null;
    /** @type {Run | null} what it is compared with */
    this.other = null;
    /** True: the chosen head is one of that run. */
    this.onHeadOfOther = false;
    /** The run that is shown: its name, or "mine". */
    this.shownId = "";
    /** True: the visitor's own run is wanted as soon as it has something to show. */
    this.wantsMine = false;
    /** @type {import("./live.js").Live | null} */
    this.live = null;
    /** Which press on Start the server has not answered yet; 0 if none. */
    this.waiting = 0;
    /** The runs that are on their way, or here. */
    this.wanted = "";
  }

  /** A press on Start; false while an earlier one is not answered. */
  press() {
    if (this.waiting) return false;
    this.waiting = Date.now();
    this.live?.end(); // the server forgets it for the new one
    return true;
  }

  /** The data may answer the last press on Start. @param {Data} data */
  hear(data) {
    if (!this.waiting || data.asked !== this.waiting) return;
    this.waiting = 0;
    if (data.problem) this.live?.resume();
    else this.wantsMine = Boolean(data.live);
  }

  /** Follow the visitor's own run. @param {string} key @param {() => void} changed  called when it has something new */
  followMine(key, changed) {
    if (key === this.live?.key) return;
    this.live = follow(key, new URL(`sightline/grow/live/${encodeURIComponent(key)}/`, appRoot()).href);
    this.live.changed = changed;
  }

  get task() {
    return this.data.tasks.find((task) => task.name === this.place.task) ?? this.data.tasks[0];
  }

  /** Settings of the visitor's own run, as soon as there is one. */
  get mine() {
    return this.data.live?.settings ?? null;
  }

  /** The runs of the chosen task that can be shown. @returns {{id: string, title: string}[]} */
  known() {
    const found = this.data.runs
      .filter((run) => run.settings.task === this.place.task)
      .map(({ id, title }) => ({ id, title }));
    if (this.mine?.task === this.place.task && this.live?.run)
      found.push({ id: MINE, title: `yours: ${this.data.live?.title}` });
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
    const vs =
      this.place.vs && this.place.vs !== id && this.known().some((run) => run.id === this.place.vs)
        ? this.place.vs
        : "";
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
    if (
      !this.run ||
      !this.task.grows ||
      this.waiting ||
      this.shownId === MINE ||
      same(this.run.facts.settings, this.place)
    )
      return "";
    if (this.live && same(this.mine ?? this.place, this.place)) return "";
    const { heads, positions, seed } = this.place;
    return (
      `There is no recorded run with ${heads} head${heads === 1 ? "" : "s"}, ` +
      `${positions === "none" ? "no" : positions} positions and seed ${seed}; ${this.run.facts.title} is ` +
      "shown. Grow yours: the same settings give the same run."
    );
  }

  /**
   * Where the server has a run, below the app's root; "" for one of the visitor's own that another has followed.
   * @param {Run} run
   */
  addressOf(run) {
    if (run === this.live?.run) return `sightline/grow/live/${encodeURIComponent(this.live.key)}`;
    return this.data.runs.find(({ id }) => id === run.facts.name)?.address ?? "";
  }

  /** The figures of the curves of what is shown: `loss` and `scores`. @returns {Promise<Record<string, any>>} */
  async curves() {
    const [run, other] = [/** @type {Run} */ (this.run), this.other];
    const vs = other && this.addressOf(other).replace(/^sightline\/grow\/(run|live)\//, "");
    const path = `${this.addressOf(run)}/curves${vs ? `?vs=${vs}` : ""}`;
    if (run !== this.live?.run && other !== this.live?.run) {
      /** @type {import("../base/wire.js").Pack} */
      const pack = await source.pack(path);
      return pack.meta;
    }
    const answer = await fetch(new URL(path, appRoot())); // it grows: nobody keeps it
    if (!answer.ok)
      throw new Error(answer.status === 410 ? "The server no longer has this run." : `Status ${answer.status}.`);
    return unpack(new Uint8Array(await answer.arrayBuffer())).meta;
  }

  /** Where the numbers of the shown run can be had as a file. */
  fileAddress() {
    const path =
      this.shownId === MINE
        ? `sightline/grow/live/${encodeURIComponent(this.live?.key ?? "")}/file`
        : `${this.data.runs.find((run) => run.id === this.shownId)?.address}/file`;
    return new URL(path, appRoot()).href;
  }
}
