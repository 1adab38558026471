/**
 * The strong first column, explained where it is seen: many heads park their attention on a token that means nothing,
 * and it can be hidden. Its place is always there, so that nothing moves from head to head.
 *
 * @typedef {import("../app.js").App} App
 */
import { h, say } from "../../base/dom.js";
import { received } from "../../picture/matrix.js";

/** The mean weight on the first column from which it is called strong. */
const STRONG = 0.3;
/** Of longer matrices the mean is not taken for this alone. */
const MOST_CELLS = 250_000;

/**
 * The mean weight on the first key, and whether it is the most-read one of all; null where that is not known.
 *
 * @param {import("../../picture/matrix.js").Matrix} matrix
 */
export function firstColumn(matrix) {
  if (!matrix.single || matrix.nQuery * matrix.nKey > MOST_CELLS || matrix.nKey < 4) return null;
  const means = received(matrix);
  if (!means) return null;
  return { mean: means[0], most: means.every((mean) => mean <= means[0]) };
}

/** @param {App} app */
export function createParking(app) {
  const text = h("span", null);
  const hide = h(
    "button",
    { type: "button", class: "sl-plain", "data-testid": "sl-hide-first", onclick: () => press() },
    "hide it",
  );
  const element = h("p", { class: "sl-caption sl-parking" }, text, " ", hide);
  /** @type {{matrix: App["matrix"], found: ReturnType<typeof firstColumn>}} */
  let known = { matrix: null, found: null };

  function press() {
    if (app.keys[0]?.s && app.data.can?.hide_special !== false) app.setOption("hide_special", true);
    else app.setOption("hide_first", true);
  }

  function draw() {
    const { matrix } = app;
    if (!matrix) return;
    if (known.matrix !== matrix) known = { matrix, found: firstColumn(matrix) };
    const { found } = known;
    const hidden = app.options.hide_first || (app.options.hide_special && app.keys[0]?.s);
    const strong = !app.inline && !hidden && app.keys[0]?.i === 0 && found && found.most && found.mean >= STRONG;
    element.style.visibility = strong ? "" : "hidden";
    say(text, strong ? `The bold first column: many heads park on ${app.keys[0].t}.` : "–");
  }

  return { element, draw };
}
