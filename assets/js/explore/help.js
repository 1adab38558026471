/** The dialog behind "?": every key, and the tour again. */
import { h } from "../base/dom.js";
import { advice } from "../base/words.js";

const KEYS = [
  [
    "All heads",
    [
      ["← ↑ → ↓", "choose another head"],
      ["Home  End", "first, last head of the layer"],
      ["Enter", "go to the head’s heatmap"],
    ],
  ],
  [
    "One head",
    [
      ["← ↑ → ↓", "move over the cells (Shift: ten at a time)"],
      ["Enter", "pin the cell, again to release"],
      ["q  k", "pin only the query, only the key"],
      ["Home  End", "first, last key of the row"],
      ["+  −  0", "zoom in, out, show all"],
      ["Ctrl + wheel", "zoom; drag to move"],
    ],
  ],
  [
    "Anywhere",
    [
      ["[  ]", "previous, next head"],
      ["m  x", "mean, maximum over the layer’s heads"],
      ["Esc", "release the pin, close what is open"],
      ["?", "this list"],
    ],
  ],
];

/** Where there is no keyboard. @type {typeof KEYS} */
const FINGERS = [
  ["All heads", [["tap", "open a head"]]],
  [
    "One head",
    [
      ["tap", "pin a cell, again to release it"],
      ["two fingers", "zoom"],
      ["drag", "move what is zoomed"],
    ],
  ],
];

/** @param {{startTour: () => void}} app */
export function createHelp(app) {
  const close = () => dialog.close();
  const why = h(
    "p",
    { class: "sl-second", id: "sl-help-why", hidden: true },
    "The tour is off: it shows how a model reads your sentence, and no model is behind matrices of your own.",
  );
  const tour = h(
    "button",
    {
      type: "button",
      onclick: () => {
        close();
        app.startTour();
      },
    },
    "Tour",
  );
  const dialog = h(
    "dialog",
    { class: "sl-dialog", "aria-labelledby": "sl-help-title" },
    h("h2", { id: "sl-help-title" }, advice("Keyboard shortcuts", "What your fingers do")),
    ...(advice("keys", "fingers") === "keys" ? KEYS : FINGERS).flatMap(([name, keys]) => [
      h("h3", null, /** @type {string} */ (name)),
      h(
        "dl",
        null,
        .../** @type {string[][]} */ (keys).flatMap(([key, says]) => [
          h("dt", null, ...key.split("  ").flatMap((part, i) => [i ? " " : "", h("kbd", null, part)])),
          h("dd", null, says),
        ]),
      ),
    ]),
    h(
      "p",
      { class: "sl-second" },
      advice(
        "Hover shows, click pins: every picture marks the same query and key.",
        "Every picture marks the same query and key.",
      ),
    ),
    why,
    h(
      "div",
      { class: "sl-buttons" },
      tour,
      h("button", { type: "button", class: "sl-primary", autofocus: true, onclick: close }, "Close"),
    ),
  );
  dialog.onclick = (event) => {
    if (event.target === dialog) close();
  };
  return {
    element: dialog,
    open() {
      if (!dialog.open) dialog.showModal();
    },
    close,
    /** @param {boolean} may */
    allowTour(may) {
      tour.disabled = !may;
      why.hidden = may;
      if (may) tour.removeAttribute("aria-describedby");
      else tour.setAttribute("aria-describedby", why.id);
    },
  };
}
