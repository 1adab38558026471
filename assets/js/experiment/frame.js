/**
 * What stands where: the question on top, then the atlas of effects with its list and the strip of chance, and the
 * chosen head beside them.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 */
import { h, onWidth, say } from "../base/dom.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";
import { asPictures, createKeeping } from "../keeping/bar.js";
import { createAsk } from "./ask.js";
import { createAtlas } from "./atlas.js";
import { createChosen } from "./chosen.js";
import { createLenses } from "./lenses.js";
import { createRanked } from "./ranked.js";
import { createStrip } from "./strip.js";

/** @param {ExperimentView} app */
export function createFrame(app) {
  const live = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite", "data-testid": "sl-exp-live" });
  const view = h("div", { class: "sl-exp" });
  const shell = createShell(app.root, { sheet: "experiment.css", name: "sl-exp-root" }, view, live);
  const state = createState(() => app.again());
  const ask = createAsk(app);
  const atlas = createAtlas(app);
  const ranked = createRanked(app);
  const strip = createStrip(app);
  const chosen = createChosen(app);
  const lenses = createLenses(app);
  const keep = createKeeping(app, [
    ...asPictures(atlas.slide),
    {
      name: "csv",
      label: "All effects, CSV",
      says: "for a spreadsheet",
      make: async () => (await import("./sheet.js")).save(app),
    },
    {
      name: "script",
      label: "Python script",
      says: "the code that makes these numbers",
      make: async () => (await import("./sheet.js")).saveScript(app),
    },
  ]);
  ask.keeps.append(keep.element);
  const body = h(
    "div",
    { class: "sl-exp-body" },
    ask.element,
    h("div", { class: "sl-exp-plots" }, atlas.element, ranked.element),
    strip.element,
    lenses.element,
    chosen.element,
  );
  view.append(state.element, body);
  state.show("loading", "The heads of this text follow.");
  const unwatch = onWidth(view, () => app.draw());

  return {
    ...shell,
    view,
    state,
    ask,
    chosen,
    lenses,
    draw() {
      for (const part of [ask, atlas, ranked, strip, chosen, lenses]) part.draw();
    },
    /** The selection, or what the pointer is over, has changed. @param {string} from */
    marks(from) {
      atlas.marks();
      ranked.marks();
      if (from === "hover") return;
      strip.marks();
      lenses.draw();
    },
    /** @param {string} text */
    announce: (text) => say(live, text),
    remove() {
      unwatch();
      strip.destroy();
      shell.remove();
    },
  };
}
