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
      ...(heads.places.some(({ i }) => heads.untested(i)) || only.label === "?"
        ? [/** @type {[string, string]} */ (["?", "could not be tested"])]
        : []),
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
            ? `Labels: testing the heads on probe texts, ${told.done} of ${told.total} forward passes …`
            : "Labels: waiting for the model …",
        );
      } else if (told.state === "ready") {
        say(text, `${answered(heads.cards ?? [])} ${told.says ?? ""}`.trim());
      } else say(text, told.says ?? "");
    },
  };
}

/**
 * The three answers, counted, in one or two sentences.
 *
 * @param {(import("./data.js").Card | null)[]} cards
 */
export function answered(cards) {
  const of = (/** @type {string} */ answer) => cards.filter((card) => card?.answer === answer);
  const [named, plain, untested] = [of("named").length, of("unlabelled").length, of("untested")];
  if (cards.length && untested.length === cards.length) return untested[0]?.says ?? "";
  const said = [`${named} of ${cards.length} heads ${named === 1 ? "carries" : "carry"} a label`];
  if (plain)
    said.push(
      `${untested.length ? plain : "the others"} ${plain === 1 && untested.length ? "is" : "are"} ` +
        "unlabelled, which is normal",
    );
  else if (!untested.length) said.push("none is unlabelled");
  if (untested.length) said.push(`${untested.length} could not be tested`);
  const partly = cards.find((card) => card?.untested)?.untested ?? "";
  const all = partly && cards.every((card) => card?.answer === "untested" || card?.untested === partly);
  return `${said.join("; ")}.${all ? ` ${partly}` : ""}`;
}
