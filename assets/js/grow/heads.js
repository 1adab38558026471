/**
 * The heads of the shown run: all of them as small maps, and one of them large, with what its scores mean.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, say } from "../base/dom.js";
import { CLASSES } from "./classes.js";
import { nearest } from "./curves.js";
import { createGrid, createMap } from "./maps.js";

/** The grid or grids of heads, and one head large. @param {Grow} app */
export function createHeads(app) {
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
          title:
            other.facts.title +
            (other.steps[otherAt] === run.steps[app.index] ? "" : `, at step ${other.steps[otherAt]}`),
          table,
          chosen: chosen.second ? chosen : null,
        });
      const place = app.peek && (!app.peek.second || other) ? app.peek : chosen;
      const of = place.second && other ? other : run;
      const at = place.second && other ? otherAt : app.index;
      const role = of.role(at, place.layer, place.head);
      say(
        title,
        `Layer ${place.layer}, head ` +
          `${place.head}${role ? `: ${of.facts.scores[role.score].title} ${role.value.toFixed(2)}` : ""}`,
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
