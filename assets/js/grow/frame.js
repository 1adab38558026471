/**
 * What stands around the maps of Grow a head: tasks, runs, the form for one's own, the scrubber, curves, tables, files.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, mark, say } from "../base/dom.js";
import { createCharts } from "./charts.js";
import { CLASSES, nearest } from "./curves.js";
import { createForm } from "./form.js";
import { going, statusWords } from "./live.js";
import { createGrid, createMap } from "./maps.js";
import { createTables } from "./tables.js";
import { createShell } from "../base/shell.js";
import { createState } from "../base/states.js";

/** @param {Grow} app */
export function createFrame(app) {
  const state = createState(() => app.again());
  const tasks = createTasks(app);
  const runs = createRuns(app);
  const form = createForm(app);
  const live = createLiveLine(app);
  const scrubber = createScrubber(app);
  const charts = createCharts(app);
  const maps = createMaps(app);
  const tables = createTables(app);
  const quiet = h("p", { class: "sl-quiet", role: "status", "aria-live": "polite" });
  const main = h("div", { class: "sl-grow-main" }, charts.element, maps.grids, maps.one);
  const view = h(
    "div",
    { class: "sl-grow" },
    state.element,
    h(
      "header",
      { class: "sl-grow-head" },
      h("h1", null, "Grow a head"),
      h(
        "p",
        { class: "sl-grow-second" },
        "A small transformer of attention alone learns a task. Watch what each of its heads learns to look at.",
      ),
      tables.actions,
    ),
    h("div", { class: "sl-grow-choice" }, tasks.element, runs.element, form.element, live.element),
    scrubber.element,
    main,
    tables.element,
    quiet,
  );
  const shell = createShell(app.root, { sheet: "grow.css", name: "sl-grow-root" }, view);
  state.show("loading", "A recorded training run is on its way.");
  // Words of another size change the view's; the figures are drawn with the size that the theme has.
  const larger = () => app.theme && parseFloat(getComputedStyle(shell.probe).fontSize) !== app.theme.size;
  const resizer = new ResizeObserver(() => (larger() ? requestAnimationFrame(() => app.retheme()) : app.drawSoon()));
  resizer.observe(shell.host);

  return {
    ...shell,
    view,
    state,
    form,
    /** What can be drawn without a run. */
    drawChoice() {
      tasks.draw();
      runs.draw();
      form.draw();
      live.draw();
    },
    draw() {
      for (const part of [scrubber, charts, maps, tables]) part.draw();
    },
    /** The line under the pointer of the curves. @param {number | null} step */
    over: charts.over,
    /** @param {string} text */
    announce: (text) => say(quiet, text),
    focusStop: live.focus,
    remove() {
      resizer.disconnect();
      charts.destroy();
      shell.remove();
    },
  };
}

/** What is learned, and the way to a run of one's own. @param {Grow} app */
function createTasks(app) {
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
function createRuns(app) {
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
function createLiveLine(app) {
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

/** Play, the scrubber itself, and the moments to jump to. @param {Grow} app */
function createScrubber(app) {
  const play = h("button", {
    type: "button",
    class: "sl-grow-play",
    "data-testid": "sl-play",
    onclick: () => app.play(),
  });
  const range = h("input", {
    type: "range",
    min: "0",
    step: "1",
    "aria-label": "Step of training",
    "data-testid": "sl-scrub",
    oninput: () => app.goTo(Number(range.value)),
    onpointerdown: () => app.pause(),
  });
  const at = h("output", { class: "sl-grow-at", "aria-live": "off", "data-testid": "sl-at" });
  const moments = h("div", { class: "sl-grow-moments", role: "group", "aria-label": "Jump to a moment" });
  const element = h("div", { class: "sl-grow-scrub" }, play, range, at, moments);
  let drawn = "";
  return {
    element,
    draw() {
      const run = /** @type {import("./run.js").Run} */ (app.run);
      const i = app.index;
      range.max = String(Math.max(run.saved - 1, 0));
      range.value = String(i);
      const step = run.steps[i];
      const loss = run.loss[i];
      mark(range, "aria-valuetext", `step ${step}${loss === loss ? `, loss ${loss.toFixed(2)} nats` : ""}`);
      say(at, `step ${step.toLocaleString("en")} of ${run.facts.n_steps.toLocaleString("en")}`);
      say(play, app.playing ? "❚❚ Pause" : "▶ Play");
      const found = run.facts.moments;
      const key = JSON.stringify(found);
      if (key !== drawn) {
        drawn = key;
        moments.replaceChildren(
          h("button", { type: "button", "data-moment": "start", onclick: () => app.jump(0) }, "start"),
          ...found.map((moment) =>
            h(
              "button",
              { type: "button", "data-moment": moment.name, onclick: () => app.jumpTo(moment.step) },
              h("span", { class: `sl-grow-dot ${classOf(app, moment.name)}`, "aria-hidden": "true" }),
              `${moment.title}, ${moment.step.toLocaleString("en")}`,
            ),
          ),
          h("button", { type: "button", "data-moment": "end", onclick: () => app.jump(Infinity) }, "end"),
        );
      }
      const here = found.filter((moment) => nearest(run.steps, moment.step) === i).map((moment) => moment.name);
      for (const button of moments.children)
        mark(
          button,
          "data-here",
          here.includes(/** @type {HTMLElement} */ (button).dataset.moment ?? "") ||
            (i === 0 && button === moments.firstChild) ||
            (i === run.saved - 1 && button === moments.lastChild),
        );
    },
  };
}

/** The class of the score that a moment is about; the loss's if of none. @param {Grow} app @param {string} name */
function classOf(app, name) {
  const at = app.run?.facts.scores.findIndex((score) => score.name === name) ?? -1;
  return at < 0 ? "sl-loss" : CLASSES[at % CLASSES.length];
}

/** The grid or grids of heads, and one head large. @param {Grow} app */
function createMaps(app) {
  const choose = (/** @type {boolean} */ second) => (/** @type {number} */ layer, /** @type {number} */ head) =>
    app.chooseHead(layer, head, second);
  const peek = (/** @type {boolean} */ second) => (/** @type {{layer: number, head: number} | null} */ place) =>
    app.setPeek(place && { ...place, second });
  const first = createGrid({ choose: choose(false), peek: peek(false) });
  const second = createGrid({ choose: choose(true), peek: peek(true) });
  const legend = h(
    "p",
    { class: "sl-grow-scale" },
    h("span", null, "0"),
    h("i", { "aria-hidden": "true" }),
    h("span", null, "1"),
    h("i", { class: "sl-grow-hatch", "aria-hidden": "true" }),
    h("span", null, "may not look"),
  );
  const jobs = h("div", { class: "sl-grow-jobs", role: "group", "aria-label": "Jobs of heads" });
  let described = "";
  const grids = h(
    "section",
    { class: "sl-grow-grids", "aria-label": "All heads", "data-testid": "sl-heads" },
    h("div", { class: "sl-head-row" }, h("h2", null, "All heads"), legend),
    first.element,
    second.element,
    jobs,
  );
  const title = h("h2", { "data-testid": "sl-map-title" });
  const tell = h("p", { class: "sl-grow-cell", "data-testid": "sl-cell", "aria-live": "polite" });
  const hint = "Point at a cell to read it.";
  const map = createMap((text) => say(tell, text || hint));
  say(tell, hint);
  const one = h(
    "section",
    { class: "sl-grow-one", "aria-label": "One head" },
    title,
    tell,
    map.element,
    h(
      "p",
      { class: "sl-grow-second" },
      "Row looks at column; each row sums to 1. The same row of tokens at every step; no run learns from it.",
    ),
  );
  /** What each score means, and where on the large map it counts. @param {import("./run.js").Run} run */
  function describe(run) {
    const { scores } = run.facts;
    const key = JSON.stringify(scores.map(({ name, even }) => [name, even]));
    if (key !== described) {
      described = key;
      jobs.replaceChildren(
        ...scores.map(({ name, title: what, says, even }, s) => {
          const box = h("input", {
            type: "checkbox",
            "data-job": name,
            onchange: () => app.setMarked(box.checked ? name : ""),
          });
          return h(
            "div",
            { class: `sl-grow-job ${CLASSES[s % CLASSES.length]}` },
            h("b", null, what),
            h("p", null, `${says} A head that looks at everything alike: ${even.toFixed(2)}.`),
            h("label", { class: "sl-toggle" }, box, "outline these cells"),
          );
        }),
      );
    }
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (jobs.querySelectorAll("input")))
      box.checked = box.dataset.job === app.marked;
  }

  return {
    grids,
    one,
    draw() {
      const run = /** @type {import("./run.js").Run} */ (app.run);
      const { other, theme, table } = app;
      const chosen = app.head;
      const otherAt = other ? nearest(other.steps, run.steps[app.index]) : 0;
      first.draw(run, app.index, { title: other ? run.facts.title : "", table, chosen: chosen.second ? null : chosen });
      second.element.hidden = !other;
      if (other)
        second.draw(other, otherAt, {
          title: `${other.facts.title}${other.steps[otherAt] === run.steps[app.index] ? "" : `, at step ${other.steps[otherAt]}`}`,
          table,
          chosen: chosen.second ? chosen : null,
        });
      const place = app.peek && (!app.peek.second || other) ? app.peek : chosen;
      const of = place.second && other ? other : run;
      const at = place.second && other ? otherAt : app.index;
      const role = of.role(at, place.layer, place.head);
      say(
        title,
        `Layer ${place.layer}, head ${place.head}${role ? `: ${of.facts.scores[role.score].title} ${role.value.toFixed(2)}` : ""}`,
      );
      const marked = of.facts.scores.findIndex((score) => score.name === app.marked);
      map.draw(
        {
          run: of,
          at,
          layer: place.layer,
          head: place.head,
          targets: marked < 0 ? [] : of.facts.scores[marked].targets,
          colour: app.colours[marked] ?? "",
        },
        theme,
        theme.size * 32,
      );
      describe(run);
    },
  };
}
