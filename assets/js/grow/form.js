/**
 * The settings of a run of one's own: seed, heads, positions. The task is the one that is chosen above.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { h, mark, say } from "../base/dom.js";
import { going } from "./live.js";

/** @param {Grow} app */
export function createForm(app) {
  const seed = h("input", {
    type: "number",
    min: "0",
    step: "1",
    required: true,
    class: "sl-grow-number",
    "data-testid": "sl-seed",
  });
  const heads = h("select", { "data-testid": "sl-n-heads" });
  const positions = h("select", { "data-testid": "sl-positions" });
  const start = h("button", { type: "submit", class: "sl-primary", "data-testid": "sl-start" }, "Start");
  const close = h("button", { type: "button", onclick: () => app.setForm(false) }, "Close");
  const limits = h("p", { class: "sl-grow-second" });
  const element = h(
    "form",
    {
      class: "sl-grow-form",
      hidden: true,
      "aria-label": "A run of your own",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        app.start({
          task: app.place.task,
          seed: Number(seed.value),
          heads: Number(heads.value),
          positions: positions.value,
        });
      },
    },
    h("label", null, "Seed", seed),
    h("label", null, "Heads a layer", heads),
    h("label", null, "Positions", positions),
    start,
    close,
    limits,
  );
  /** What there is to choose from. */
  function offer() {
    const { choices } = app.data;
    if (heads.options.length) return;
    heads.append(...choices.heads.map((n) => h("option", { value: n }, String(n))));
    positions.append(...choices.positions.map((name) => h("option", { value: name }, name)));
    seed.max = String(choices.max_seed);
  }

  return {
    element,
    toggle() {
      app.setForm(!app.formOpen);
      if (app.formOpen) seed.focus();
    },
    /** @param {import("./run.js").Settings} settings */
    fill(settings) {
      offer();
      const { heads: offered } = app.data.choices;
      seed.value = String(settings.seed);
      heads.value = String(offered.includes(settings.heads) ? settings.heads : offered[offered.length - 1]);
      positions.value = settings.positions;
    },
    draw() {
      element.hidden = !app.formOpen || !app.task.grows;
      const busy = Boolean(app.waiting || (app.live?.status && going(app.live.status)));
      say(start, busy ? "Start instead" : "Start");
      start.disabled = Boolean(app.waiting);
      say(limits, app.data.limits);
      mark(element, "data-busy", busy);
    },
  };
}
