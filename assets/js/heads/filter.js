/**
 * What the table leaves out, and how far the labels are.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { focusedBy, h, mark, say } from "../base/dom.js";
import { ALL, LOOK, writeOnly } from "./data.js";
import { fill } from "./map.js";

/** @param {HeadsView} app */
export function createFilter(app) {
  const label = h("select", {
    "aria-label": "Label",
    "data-testid": "sl-only-label",
    onchange: () => app.setOnly({ ...app.only, label: label.value }),
  });
  const layer = h("select", {
    "aria-label": "Layer",
    "data-testid": "sl-only-layer",
    onchange: () => app.setOnly({ ...app.only, layer: layer.value === "" ? null : Number(layer.value) }),
  });
  const metric = h("select", {
    "aria-label": "Metric to filter by",
    "data-testid": "sl-only-metric",
    onchange: () => app.setOnly({ ...app.only, metric: metric.value, least: metric.value ? app.only.least : 0 }),
  });
  const least = h("input", {
    type: "number",
    step: "0.05",
    "aria-label": "At least",
    "data-testid": "sl-only-least",
    oninput: () => {
      if (Number.isFinite(least.valueAsNumber)) app.setOnly({ ...app.only, least: least.valueAsNumber });
    },
  });
  const atLeast = h("span", { class: "sl-pick" }, "≥", least);
  const clear = h(
    "button",
    { type: "button", class: "sl-plain", onclick: () => app.setOnly({ ...ALL }) },
    "clear filter",
  );
  const element = h(
    "div",
    { class: "sl-heads-filter", role: "group", "aria-label": "Filter" },
    h("h2", null, "Every head in numbers"),
    h(
      "span",
      { class: "sl-picks" },
      h("label", { class: "sl-pick" }, "label", label),
      h("label", { class: "sl-pick" }, "layer", layer),
      h("label", { class: "sl-pick" }, "metric", metric),
      atLeast,
      clear,
    ),
  );

  function draw() {
    const { heads, only } = app;
    /** @type {[string, string][]} */
    const labels = [
      ["", "all"],
      ["*", "any label"],
      ["-", "unlabelled"],
      ...heads.labels.map(({ label: name, title, n }) => /** @type {[string, string]} */ ([name, `${title} (${n})`])),
    ];
    if (only.label && !labels.some(([value]) => value === only.label))
      labels.push([only.label, heads.cards ? `${only.label} (0)` : only.label]);
    fill(label, [], only.label, labels);
    label.disabled = !heads.cards;
    fill(layer, [], only.layer === null ? "" : String(only.layer), [
      ["", "all"],
      ...heads.layers.map(
        (one, at) =>
          /** @type {[string, string]} */ ([String(at), heads.groups.length > 1 ? one.label : String(one.index)]),
      ),
    ]);
    fill(
      metric,
      heads.choices.filter(({ name }) => name !== LOOK || heads.look),
      only.metric,
      [["", "any"]],
    );
    atLeast.hidden = !only.metric;
    if (least.valueAsNumber !== only.least && focusedBy(least) !== least) least.value = String(only.least);
    clear.hidden = writeOnly(only) === "";
  }

  return { element, draw };
}

/** How far the labels are: one line over everything. @param {HeadsView} app */
export function createStatus(app) {
  const text = h("span", null);
  const bar = h("progress", { "aria-label": "Labelling", max: "1" });
  const element = h("p", { class: "sl-heads-status", role: "status", "data-testid": "sl-labels-status" }, text, bar);
  return {
    element,
    draw() {
      const { heads, told } = app;
      mark(element, "data-state", told.state);
      bar.hidden = told.state !== "working";
      if (told.state === "working") {
        if (told.total) bar.value = told.done / told.total;
        say(
          text,
          told.total
            ? `Labels: testing the heads on probe texts, ${told.done} of ${told.total} …`
            : "Labels: waiting for the model …",
        );
      } else if (told.state === "ready") {
        const n = heads.cards?.filter((card) => card?.label).length ?? 0;
        say(
          text,
          `${n} of ${heads.n} heads ${n === 1 ? "carries" : "carry"} a label; ${n === heads.n ? "none is" : "the others are"} unlabelled, which is normal. ${told.says ?? ""}`.trim(),
        );
      } else say(text, told.says ?? "");
    },
  };
}
