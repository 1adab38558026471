/**
 * The explorer's elements and where they stand.
 *
 * @typedef {import("./app.js").App} App
 */
import { createAtlas } from "./atlas.js";
import { createTitle } from "./badge.js";
import { createDetails } from "./details.js";
import { focusedBy, h, mark } from "./dom.js";
import { createHeatmap } from "./heatmap.js";
import { createHelp } from "./help.js";
import { createLinks } from "./links.js";
import { createReadout } from "./readout.js";
import { createSentence } from "./sentence.js";
import { createState } from "./states.js";
import { createToolbar } from "./toolbar.js";
import { createTour } from "./tour.js";

/** A style sheet that does not come must not hide the view for ever. */
const PATIENCE = 3000;

/** @param {App} app @param {string | undefined} css  the style sheet's text; without it the file beside this module is used */
export function createFrame(app, css) {
  const sheet = css ? h("style", null, css) : h("link", { rel: "stylesheet", href: new URL("../css/explorer.css", import.meta.url).href });
  const probe = h("span", { class: "sl-probe", "aria-hidden": "true" });
  const explorer = h("div", { class: "sl-explorer" });
  const host = h("div", { class: "sl-root", style: "visibility: hidden" }, probe, explorer);
  const tour = createTour(host);
  const help = createHelp({ startTour: tour.start });
  const state = createState(() => app.numbers.again());
  const toolbar = createToolbar(app);
  const title = createTitle(app);
  const tabs = createTabs(app, explorer);
  const heatmap = createHeatmap(app);
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
    h("div", { class: "sl-pictures" }, h("div", { class: "sl-left" }, readout.element, heatmap.element), links.element),
    sentence.element,
  );
  const body = h("div", { class: "sl-body" }, atlas.element, one, details.element);
  explorer.append(tour.element, state.element, toolbar.element, body, help.element);
  app.root.append(sheet, host);
  const resizer = new ResizeObserver(() => app.request(3));
  resizer.observe(explorer);

  return {
    host,
    explorer,
    probe,
    tour,
    help,
    state,
    toolbar,
    heatmap,
    /** Painted in this order: what the eye is on first. */
    parts: [toolbar, title, tabs, heatmap, readout, links, sentence, details, atlas],
    /** Resolves when the style sheet is there: painting before would flash. */
    styled: css
      ? Promise.resolve()
      : new Promise((/** @type {(value?: any) => void} */ resolve) => {
          sheet.onload = sheet.onerror = () => resolve();
          setTimeout(resolve, PATIENCE);
        }),
    remove() {
      resizer.disconnect();
      sheet.remove();
      host.remove();
    },
  };
}

/**
 * A button that opens a panel: closed by the button, Escape, or a click elsewhere.
 *
 * @param {HTMLButtonElement} button @param {HTMLElement} panel
 * @param {AbortSignal} signal  ends the listening
 * @returns {() => void} closes it; the focus then goes from the panel to the button
 */
export function popover(button, panel, signal) {
  /** @param {boolean} open */
  const set = (open) => {
    panel.hidden = !open;
    mark(button, "aria-expanded", String(open));
  };
  button.onclick = () => set(panel.hidden === true);
  document.addEventListener("pointerdown", (event) => {
    if (!panel.hidden && !event.composedPath().includes(/** @type {Node} */ (button.parentElement))) set(false);
  }, { signal });
  panel.onkeydown = button.onkeydown = (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    button.focus();
    set(false);
  };
  return () => {
    if (panel.contains(focusedBy(panel))) button.focus();
    set(false);
  };
}

/** Which of the three pictures a narrow screen shows. @param {App} app @param {HTMLElement} explorer */
function createTabs(app, explorer) {
  const names = ["heatmap", "links", "sentence"];
  const buttons = names.map((name) => h("button", { type: "button", onclick: () => app.setOption("picture", name) }, name));
  const element = h("div", { class: "sl-tabs", role: "group", "aria-label": "Picture" }, ...buttons);
  return {
    element,
    draw() {
      mark(explorer, "data-picture", app.options.picture);
      buttons.forEach((button, i) => mark(button, "aria-pressed", String(app.options.picture === names[i])));
    },
  };
}
