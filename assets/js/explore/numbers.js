/**
 * Fetching: the overview of a text, then the chosen head's own numbers, then the exact line under the pointer.
 *
 * @typedef {import("./app.js").App} App
 * @typedef {import("../picture/matrix.js").Matrix} Matrix
 */
import { subject } from "./details.js";
import { settle } from "../base/dom.js";
import { fromHead, fromOverview } from "../picture/matrix.js";
import { Overview } from "../picture/overview.js";
import { active } from "../base/selection.js";
import { HttpSource, InlineSource, LostError, sourceAt } from "../base/source.js";

/** Heads whose numbers are kept ready. */
const KEPT = 24;
/** Choices in quick succession (an arrow key held down) ask the server once, at the end, ms. */
const HURRY = 110;
/** How long the pointer rests before the exact line is fetched, ms. */
const REST = 60;

/** @param {App} app */
export function createNumbers(app) {
  /** @type {string | null} what is on screen */
  let shown = null;
  /** @type {string | null} what is being fetched */
  let wanted = null;
  /** True if the server has forgotten what is on screen: the next data from Python make it fetch again. */
  let lost = false;
  /** @type {HttpSource | InlineSource | null} */
  let source = null;
  /** @type {Map<string, Matrix>} */
  const matrices = new Map();
  let openedAt = 0;
  const headLater = settle(HURRY, loadHead);
  const lineLater = settle(REST, () => {
    app.rest();
    loadLine();
  });

  /** Fetch the overview that the data names, unless it is here or on its way. */
  async function load() {
    const { data } = app;
    const name = app.following?.key ?? data.key ?? "inline";
    if (name === wanted || (name === shown && wanted === null && !lost)) return;
    wanted = name;
    lost = false;
    if (!app.overview) app.frame.state.show("loading");
    const base =
      (name === data.key && data.base) || new URL(`sightline/data/${encodeURIComponent(name)}/`, document.baseURI).href;
    const from = data.packs
      ? new InlineSource(data.packs)
      : sourceAt(base, () => app.callbacks.setTrigger?.("lost", name));
    const here = () => wanted === name && !app.life.signal.aborted;
    try {
      const overview = new Overview(name, await from.overview());
      if (!here()) return;
      wanted = null;
      shown = name;
      source = from;
      matrices.clear();
      app.show(overview, data);
    } catch (error) {
      if (!here()) return;
      wanted = null;
      lost = error instanceof LostError;
      app.frame.state.show(lost ? "lost" : "error", /** @type {Error} */ (error).message);
    }
  }

  /** Show the chosen head with what is known, and ask for its own numbers. */
  function open() {
    const { layer, head } = app.selection;
    const name = `${layer}/${head}`;
    app.headError = false;
    app.matrix = matrices.get(name) ?? fromOverview(app.overview, layer, head);
    if (app.matrix) keep(name, app.matrix);
    if (!app.matrix?.meta) {
      const hurried = performance.now() - openedAt < HURRY;
      openedAt = performance.now();
      headLater.cancel();
      if (hurried) headLater();
      else loadHead();
    }
    lineLater();
  }

  /** @param {string} name @param {Matrix} matrix */
  function keep(name, matrix) {
    matrices.delete(name);
    matrices.set(name, matrix);
    if (matrices.size > KEPT) matrices.delete(/** @type {string} */ (matrices.keys().next().value));
  }

  async function loadHead() {
    const {
      overview,
      selection: { layer, head },
    } = app;
    if (!source || !overview) return;
    const here = () => app.overview === overview && app.selection.layer === layer && app.selection.head === head;
    try {
      const pack = await source.head(layer, head);
      if (!pack || app.overview !== overview) return;
      const matrix = fromHead(pack, fromOverview(overview, layer, head));
      keep(`${layer}/${head}`, matrix);
      if (!here()) return;
      app.matrix = matrix;
      lineLater();
      app.request(2);
    } catch (error) {
      if (!here()) return;
      if (error instanceof LostError) {
        lost = true;
        app.frame.state.show("lost", error.message);
      } else {
        app.headError = true;
        app.frame.toolbar.tell(/** @type {Error} */ (error).message, 12000);
        app.request(2);
      }
    }
  }

  /**
   * The exact line of what is marked; without a mark, of what the numbers are about if they could not be shown else.
   */
  async function loadLine() {
    const { matrix, overview, selection } = app;
    if (!source || !matrix || !overview || matrix.weights) return;
    const now = active(selection);
    if (!now && matrix.single) return;
    const { axis, index } = subject(app);
    const name = `${axis}:${index}`;
    if (matrix.lines.has(name)) return;
    try {
      const pack = await source.line(selection.layer, selection.head, axis, index);
      // The head's own numbers may have come in between: the line belongs to whatever is shown for this head now.
      const to = matrices.get(`${selection.layer}/${selection.head}`);
      if (!pack || app.overview !== overview || !to) return;
      const { weights, scores } = pack.arrays;
      to.lines.set(name, {
        weights: weights.data,
        scores: scores?.data ?? null,
      });
      if (to === app.matrix) app.request(1);
    } catch {
      // The rounded value stays on screen; the next rest of the pointer asks again.
    }
  }

  return {
    load,
    open,
    lineLater,
    get source() {
      return source;
    },
    /** True while an overview is on its way. */
    get busy() {
      return wanted !== null;
    },
    get shown() {
      return shown;
    },
    /** True if the page carries its own numbers and no more can come. */
    get inline() {
      return source instanceof InlineSource;
    },
    /** Python has answered: what was lost is here again, and its loss would be news. */
    renewed() {
      if (source instanceof HttpSource) source.lost = false;
    },
    again() {
      wanted = shown = null;
      load();
    },
    stop() {
      headLater.cancel();
      lineLater.cancel();
    },
  };
}
