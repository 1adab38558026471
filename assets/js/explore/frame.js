/**
 * The explorer's elements and where they stand.
 *
 * @typedef {import("./app.js").App} App
 */
import { createAtlas } from "./atlas.js";
import { createTitle } from "./badge.js";
import { createDetails } from "./details.js";
import { h, mark } from "../base/dom.js";
import { createHeatmap } from "./heatmap.js";
import { createHelp } from "./help.js";
import { createLinks } from "./links.js";
import { createReadout } from "./readout.js";
import { createSentence } from "./sentence.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";
import { createFinds } from "./first/finds.js";
import { createLine } from "./first/line.js";
import { createParking } from "./first/parking.js";
import { createToolbar } from "./toolbar.js";
import { createTour } from "./tour.js";

/**
 * @param {App} app
 * @param {string | undefined} css the style sheet's text; without it the file beside this module is used
 */
export function createFrame(app, css) {
  const explorer = h("div", { class: "sl-explorer" });
  const shell = createShell(app.root, { sheet: "explorer.css", css }, explorer);
  const tour = createTour(shell.host);
  const help = createHelp({ startTour: tour.start });
  const state = createState(() => app.numbers.again());
  const toolbar = createToolbar(app);
  const title = createTitle(app);
  const tabs = createTabs(app, explorer);
  const heatmap = createHeatmap(app);
  const line = createLine(app);
  const finds = createFinds(app);
  const parking = createParking(app);
  const readout = createReadout(app);
  const links = createLinks(app);
  const sentence = createSentence(app);
  const details = createDetails(app);
  const atlas = createAtlas(app);
  const one = h(
    "section",
    { class: "sl-one", "aria-label": "One head" },
    title.element,
    tabs.element,
    h(
      "div",
      { class: "sl-pictures" },
      h("div", { class: "sl-left" }, readout.element, heatmap.element, parking.element),
      links.element,
    ),
    sentence.element,
  );
  const body = h("div", { class: "sl-body" }, atlas.element, one, details.element);
  explorer.append(
    tour.element,
    state.element,
    h("div", { class: "sl-first-row" }, line.line, finds.element),
    line.panel,
    toolbar.element,
    body,
    help.element,
  );
  const resizer = new ResizeObserver(() => app.request(3));
  resizer.observe(explorer);

  return {
    ...shell,
    explorer,
    tour,
    help,
    state,
    toolbar,
    atlas,
    heatmap,
    /** Painted in this order: what the eye is on first. */
    parts: [toolbar, line, title, tabs, heatmap, readout, parking, links, sentence, details, atlas, finds],
    remove() {
      resizer.disconnect();
      shell.remove();
    },
  };
}

/** Which of the three pictures a narrow screen shows. @param {App} app @param {HTMLElement} explorer */
function createTabs(app, explorer) {
  const names = ["heatmap", "links", "sentence"];
  const buttons = names.map((name) =>
    h("button", { type: "button", onclick: () => app.setOption("picture", name) }, name),
  );
  const element = h("div", { class: "sl-tabs", role: "group", "aria-label": "Picture" }, ...buttons);
  return {
    element,
    draw() {
      mark(explorer, "data-picture", app.options.picture);
      buttons.forEach((button, i) => mark(button, "aria-pressed", String(app.options.picture === names[i])));
    },
  };
}
