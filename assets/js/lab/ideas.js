/**
 * The ideas that self-attention is made of, each with the place where it is seen and something to try.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, say } from "../base/dom.js";
import { figure } from "./compare.js";
import { at, shown } from "./numbers.js";

/** Rounding of sums in float64; a difference above it is one. */
const SAME = 1e-6;

/** @type {Record<import("./switches.js").Switches["softmax"], string>} */
const PROBABILITIES = {
  softmax: "Each row of A is positive and sums to 1, whatever the scores were.",
  none: "Without it a row of A need not sum to 1 and can be negative: shares of nothing. See the row sums.",
  "hard max":
    "Hard max gives all to the largest score: each row sums to 1, but a small change of a score changes " +
    "nothing, until all jumps.",
};

/** A difference that is nearly none. @param {number} x */
function tiny(x) {
  return x === 0 ? "exactly 0" : x.toExponential(1).replace("e-", "e−");
}

/**
 * What makes a word's place count, as the beginning of a clause; "" if nothing does.
 * @param {import("./switches.js").Switches} switches
 */
function placed({ positions, causal, window }) {
  return positions !== "none"
    ? "with positions"
    : causal
      ? "with the causal mask"
      : window !== null
        ? "with the window"
        : "";
}

/**
 * @type {{title: string, see: string, says: (app: Lab) => string, tries?: [string | ((app: Lab) => string), (app: Lab)
 *   => void]}[]}
 */
export const IDEAS = [
  {
    title: "Query, key and value by linear maps",
    see: "q",
    says: ({ data }) =>
      data.direct
        ? "In the model three matrices turned every token’s x into what it asks (q), what it answers to (k) " +
          "and what it carries (v)."
        : "Three matrices turn every word’s x into what it asks (q), what it answers to (k) and what it carries (v).",
  },
  {
    title: "A score is a dot product",
    see: "scores",
    says: () =>
      "Row i of Q times row j of K. Point at a score: both rows light up, and the products are written out below.",
  },
  {
    title: "÷ √d_k, and why",
    see: "compare",
    says: ({ data }) =>
      `With d_k = ${data.d_head} a dot product is a sum of ${data.d_head} products and grows like √d_k = ` +
      `${Math.sqrt(data.d_head).toFixed(2)}. Undivided, softmax saturates and its gradient fades.`,
    tries: ["switch ÷ √d_k", (app) => app.act({ do: "switch", values: { scale: !app.data.switches.scale } })],
  },
  {
    title: "Softmax makes probabilities",
    see: "weights",
    says: ({ data }) => PROBABILITIES[data.switches.softmax],
    tries: [
      ({ data }) => (data.switches.softmax === "softmax" ? "without softmax" : "with softmax"),
      (app) =>
        app.act({ do: "switch", values: { softmax: app.data.switches.softmax === "softmax" ? "none" : "softmax" } }),
    ],
  },
  {
    title: "The output is a weighted sum",
    see: "output",
    says: () => "A row of O mixes the rows of V in the shares of that row of A.",
  },
  {
    title: "All words at once",
    see: "weights",
    says: ({ data: { alone, words } }) =>
      `One matrix product does all rows. The row of “${words[alone.word]}” computed alone differs from it ` +
      `by ${tiny(alone.difference)}.`,
  },
  {
    title: "A word looks at itself too",
    see: "weights",
    says: (app) => {
      const weights = app.found.get(`weights:${app.head}`);
      return (
        "The diagonal of A is not special: " +
        `${weights ? app.data.words.map((word, i) => `${word} ${shown(at(weights, i, i))}`).join(", ") : ""}.`
      );
    },
  },
  {
    title: "Distance costs nothing",
    see: "weights",
    says: ({ data }) =>
      "Move the first word to the end: " +
      (placed(data.switches)
        ? `${placed(data.switches)} its weights change with its place.`
        : "its weights go with it, unchanged, until positions, a causal mask or a window are switched on."),
    tries: ["move it", (app) => app.act({ do: "move", word: 0, to: app.data.words.length - 1 })],
  },
  {
    title: "Order is invisible without positions",
    see: "projected",
    says: ({ data: { shuffled } }) =>
      shuffled === null
        ? "With these masks the words cannot be shuffled: some word would have nothing to look at."
        : shuffled < SAME
          ? "Shuffle the words: the output is the same rows, shuffled (largest difference " +
            `${tiny(shuffled)}). Switch positions on and shuffle again.`
          : "Shuffle the words: a word’s output is not the same any more, it differs by up to " +
            `${figure(shuffled, "")}. Order counts here.`,
    tries: [
      ({ data }) => (data.switches.positions === "none" ? "switch positions on" : "switch positions off"),
      (app) =>
        app.act({ do: "switch", values: { positions: app.data.switches.positions === "none" ? "rotary" : "none" } }),
    ],
  },
  {
    title: "Several heads see different things",
    see: "joined",
    says: ({ data }) =>
      data.n_heads > 1
        ? `${data.n_heads} heads of d_k = ${data.d_head} have their own weights; H sets their outputs side by side.`
        : data.direct
          ? "This is one head of the model; its others look elsewhere. Copy another one and compare."
          : "One head has one set of weights. Divide the same columns among several (switch “heads”) and " +
            "each has its own.",
  },
];

/** @param {Lab} app */
export function createIdeas(app) {
  const items = IDEAS.map((idea) => {
    const words = h("p", null);
    const see = h(
      "button",
      { type: "button", class: "sl-plain", onclick: () => app.goTo(idea.see), "aria-label": `See: ${idea.title}` },
      "see it",
    );
    const tries =
      idea.tries && h("button", { type: "button", class: "sl-plain", onclick: () => idea.tries?.[1](app) }, "");
    return {
      idea,
      words,
      tries,
      element: h("li", null, h("b", null, idea.title), words, h("span", { class: "lab-links" }, see, tries ?? null)),
    };
  });
  const element = h(
    "section",
    { class: "lab-panel lab-ideas", "aria-label": "Ten ideas" },
    h("h3", null, "Ten ideas, and where to see them"),
    h("ol", null, ...items.map((item) => item.element)),
  );
  return {
    element,
    draw() {
      for (const { idea, words, tries } of items) {
        say(words, idea.says(app));
        const [name] = idea.tries ?? [""];
        if (tries) say(tries, typeof name === "string" ? name : name(app));
      }
    },
  };
}
