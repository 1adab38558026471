/**
 * The Lab's elements and where they stand.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";
import { createArrows } from "./arrows.js";
import { createBar } from "./bar.js";
import { createCard } from "./card.js";
import { createCompare } from "./compare.js";
import { createFlow } from "./flow.js";
import { createIdeas } from "./ideas.js";
import { createInspector } from "./inspector.js";
import { createSwitches } from "./switches.js";
import { createShell } from "../base/shell.js";

/** @param {Lab} app */
export function createFrame(app) {
  const live = h("p", { class: "lab-told", role: "status", "aria-live": "polite", hidden: true });
  const said = h("div", { class: "lab-said", role: "alert" });
  const fault = createFault(app);
  const bar = createBar(app);
  const switches = createSwitches(app);
  const card = createCard(app);
  const flow = createFlow(app, card.element);
  const compare = createCompare(app);
  const arrows = createArrows(app);
  const ideas = createIdeas(app);
  const inspector = createInspector(app);
  const body = h(
    "div",
    { class: "lab-body" },
    said,
    bar.element,
    live,
    switches.element,
    flow.element,
    h("div", { class: "lab-below" }, compare.element, arrows.element, ideas.element),
    inspector.element,
    fault.element,
  );
  const shell = createShell(app.root, { sheet: "lab.css", name: "sl-lab", testid: "lab" }, body);
  let width = 0;
  const resizer = new ResizeObserver(([{ contentRect }]) => {
    if (Math.abs(contentRect.width - width) < 2) return;
    width = contentRect.width;
    if (app.colours) flow.draw();
  });
  resizer.observe(body);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  return {
    ...shell,
    body,
    fault,
    inspector,
    arrows,
    parts: [
      bar,
      switches,
      card,
      flow,
      compare,
      arrows,
      ideas,
      {
        draw() {
          said.hidden = app.data.said.length === 0;
          if (said.textContent !== app.data.said.join(""))
            said.replaceChildren(...app.data.said.map((text) => h("p", null, text)));
        },
      },
    ],
    /** @param {string} text */
    tell(text) {
      live.hidden = text === "";
      say(live, text);
      clearTimeout(timer);
      timer = setTimeout(() => {
        live.hidden = true;
        say(live, "");
      }, 12000);
    },
    remove() {
      resizer.disconnect();
      shell.remove();
    },
  };
}

/** A sentence beside the cell that it is about. @param {Lab} app */
function createFault(app) {
  const words = h("span", null);
  const close = h("button", { type: "button", class: "sl-plain", onclick: () => app.forgive() }, "close");
  const element = h(
    "div",
    { class: "lab-fault", role: "alert", "data-testid": "lab-fault", hidden: true },
    words,
    close,
  );
  return {
    element,
    hide() {
      element.hidden = true;
      for (const cell of app.frame?.host.querySelectorAll('td[aria-invalid="true"]') ?? [])
        mark(cell, "aria-invalid", null);
    },
    /** @param {Lab["fault"]} fault */
    draw(fault) {
      if (!fault) return;
      const cell = app.grids.get(fault.id)?.cell(fault.row, fault.column);
      if (!cell?.isConnected) return app.tell(fault.says);
      mark(cell, "aria-invalid", true);
      const shown = !element.hidden && words.textContent === fault.says;
      say(words, fault.says);
      element.hidden = false;
      const box = cell.getBoundingClientRect();
      const frame = app.frame.host.getBoundingClientRect();
      const left = Math.min(box.left - frame.left, frame.width - element.offsetWidth - 4);
      element.style.left = `${Math.max(left, 0)}px`;
      element.style.top = `${box.bottom - frame.top + 6}px`;
      if (!shown && !cell.closest("table")?.querySelector("input"))
        app.grids.get(fault.id)?.focus(fault.row, fault.column);
    },
  };
}
