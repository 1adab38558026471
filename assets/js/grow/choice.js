/**
 * What is chosen on Grow a head before anything is drawn: a task, a run and what to compare it with; and where one's
 * own run stands.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, mark, say } from "../base/dom.js";
import { going, statusWords } from "./live.js";

/** What is learned, and the way to a run of one's own. @param {Grow} app */
export function createTasks(app) {
  const list = h("div", { class: "sl-grow-tasks", role: "group", "aria-label": "Task", "data-testid": "sl-tasks" });
  const learns = h("span", null);
  const watch = h("span", null);
  const own = h(
    "button",
    {
      type: "button",
      class: "sl-primary sl-grow-own",
      "data-testid": "sl-own",
      "aria-expanded": "false",
      onclick: () => app.frame.form.toggle(),
    },
    "Grow one yourself",
  );
  const element = h(
    "div",
    { class: "sl-grow-task" },
    h("div", { class: "sl-grow-top" }, list, own),
    h("p", { class: "sl-grow-says" }, h("b", null, "The task: "), learns, " ", h("b", null, "Watch: "), watch),
  );
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  return {
    element,
    draw() {
      for (const task of app.data.tasks) {
        if (buttons.has(task.name)) continue;
        const button = h(
          "button",
          { type: "button", "data-task": task.name, onclick: () => app.chooseTask(task.name) },
          task.title,
        );
        buttons.set(task.name, button);
        list.append(button);
      }
      for (const [name, button] of buttons) mark(button, "aria-pressed", String(name === app.place.task));
      own.hidden = !app.task.grows;
      mark(own, "aria-expanded", String(app.formOpen));
      say(learns, app.task.says);
      say(watch, app.task.watch);
    },
  };
}

/** The runs of a task, and what to compare with. @param {Grow} app */
export function createRuns(app) {
  const chips = h("div", { class: "sl-grow-chips", role: "group", "aria-label": "Run", "data-testid": "sl-runs" });
  const against = h("select", { "data-testid": "sl-against", onchange: () => app.compare(against.value) });
  const label = h("label", { class: "sl-grow-against" }, "compare with", against);
  const element = h("div", { class: "sl-grow-runs" }, chips, label);
  let drawn = "";
  return {
    element,
    draw() {
      const known = app.known();
      const key = JSON.stringify([app.place.task, known]);
      if (key !== drawn) {
        drawn = key;
        chips.replaceChildren(
          ...known.map(({ id, title }) =>
            h("button", { type: "button", "data-run": id, onclick: () => app.chooseRun(id) }, title),
          ),
        );
      }
      for (const chip of chips.children)
        mark(chip, "aria-pressed", String(/** @type {HTMLElement} */ (chip).dataset.run === app.shownId));
      const others = known.filter(({ id }) => id !== app.shownId);
      const options = [{ id: "", title: "nothing" }, ...others];
      if (against.dataset.drawn !== JSON.stringify(options)) {
        against.dataset.drawn = JSON.stringify(options);
        against.replaceChildren(...options.map(({ id, title }) => h("option", { value: id }, title)));
      }
      against.value = others.some(({ id }) => id === app.place.vs) ? app.place.vs : "";
      label.hidden = !others.length;
      chips.hidden = known.length < 2 && !app.live;
      element.hidden = Boolean(chips.hidden && label.hidden);
    },
  };
}

/** Where one's own run stands. @param {Grow} app */
export function createLiveLine(app) {
  const text = h("span", { role: "status", "data-testid": "sl-live" });
  const bar = h("span", { class: "sl-grow-bar", "aria-hidden": "true" }, h("i", null));
  const stop = h("button", { type: "button", "data-testid": "sl-stop", onclick: () => app.stop() }, "Stop");
  const show = h("button", { type: "button", class: "sl-plain", onclick: () => app.chooseRun("mine") }, "Show it");
  const element = h("div", { class: "sl-grow-live", hidden: true }, bar, text, stop, show);
  return {
    element,
    focus: () => stop.focus(),
    draw() {
      const { live } = app;
      const status = app.waiting ? null : live?.status;
      const missing = app.missing();
      element.hidden = !live && !app.waiting && !app.problem && !missing;
      if (element.hidden) return;
      mark(element, "data-state", app.problem ? "failed" : missing ? "missing" : (status?.state ?? "starting"));
      // Steps and seconds are not read out, what changes with them is (`Grow.sayLive`).
      mark(text, "aria-live", status?.state === "running" && !app.problem && !missing ? "off" : "polite");
      say(text, app.problem || missing || (status ? statusWords(status) : "Asking for a place…"));
      const share = status?.n_steps ? status.step / status.n_steps : 0;
      /** @type {HTMLElement} */ (bar.firstChild).style.width = `${(100 * share).toFixed(1)}%`;
      bar.hidden = status?.state !== "running";
      stop.hidden = Boolean(missing) || !(app.waiting || (status && going(status)));
      show.hidden = !live?.run || app.shownId === "mine";
    },
  };
}
