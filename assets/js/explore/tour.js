/** Four steps for a first visit: a strip over the view that covers nothing and waits for nobody. */
import { h, say } from "../base/dom.js";
import { closed, opened } from "../base/popover.js";
import { advice } from "../base/words.js";

const STORED = "sightline.tour";
const STEPS = [
  { at: null, text: "Write your own sentence in the box above. Every picture below follows it." },
  {
    at: ".sl-atlas",
    text:
      "This is every attention head of the model: rows are layers, columns are heads. " +
      `${advice("Hover to enlarge one, click to open it.", "Tap to open one.")}`,
  },
  {
    at: ".sl-one",
    text:
      "One head: each row is a token that looks, each column a token that is looked at. " +
      `${advice("Hover a cell for its exact weight, click to pin it.", "Tap a cell for its exact weight.")}`,
  },
  {
    at: ".sl-actions",
    text:
      "Save the picture or the numbers, or copy a link that opens this very view elsewhere. “?” " +
      `${advice("lists the keys and starts", "starts")} this tour again.`,
  },
];

/** @param {HTMLElement} root  the view, in which the steps point at things */
export function createTour(root) {
  let step = 0;
  let allowed = true;
  const number = h("span", { class: "sl-tour-number" });
  const text = h("p", { "aria-live": "polite" });
  const next = h("button", { type: "button", class: "sl-primary", onclick: () => go(step + 1) });
  const skip = h("button", { type: "button", class: "sl-plain", onclick: () => finish() }, "Skip");
  const element = h(
    "aside",
    { class: "sl-tour", "aria-label": "Tour", hidden: true },
    number,
    text,
    h("div", { class: "sl-buttons" }, skip, next),
  );

  /** @param {number} to */
  function go(to) {
    step = to;
    if (step >= STEPS.length) return finish();
    element.hidden = false;
    opened(finish);
    element.dataset.step = String(step + 1);
    say(number, `${step + 1} of ${STEPS.length}`);
    say(text, STEPS[step].text);
    say(next, step + 1 < STEPS.length ? "Next" : "Done");
    skip.hidden = step + 1 === STEPS.length;
    point(STEPS[step].at);
  }

  /** @param {string | null} at */
  function point(at) {
    for (const old of root.querySelectorAll("[data-toured]")) old.removeAttribute("data-toured");
    const target = at && root.querySelector(at);
    if (!target) return;
    target.setAttribute("data-toured", "");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    target.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  function finish() {
    closed(finish);
    element.hidden = true;
    point(null);
    remember();
  }

  return {
    element,
    start: () => {
      if (allowed) go(0);
    },
    /** On a first visit only. */
    offer() {
      if (allowed && !seen()) go(0);
    },
    /** False where there is nothing of what it tells: it waits, and is not counted as seen. @param {boolean} may */
    allow(may) {
      allowed = may;
      if (may || element.hidden) return;
      element.hidden = true;
      closed(finish);
      point(null);
    },
  };
}

/** True if the tour was seen, or if that cannot be known (storage switched off). */
function seen() {
  try {
    return localStorage.getItem(STORED) !== null;
  } catch {
    return true;
  }
}

function remember() {
  try {
    localStorage.setItem(STORED, "seen");
  } catch {
    // Storage is switched off: the tour was not offered, so nothing is lost.
  }
}
