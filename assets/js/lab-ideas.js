/**
 * The ideas that self-attention is made of, each with the place where it is seen and something to try.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, say } from "./dom.js";
import { at, shown } from "./lab-numbers.js";

/** @type {{title: string, see: string, says: (app: Lab) => string, tries?: [string, (app: Lab) => void]}[]} */
const IDEAS = [
  { title: "Query, key and value by linear maps", see: "q", says: () => "Three matrices turn every word’s x into what it asks (q), what it answers to (k) and what it carries (v)." },
  { title: "A score is a dot product", see: "scores", says: () => "Row i of Q times row j of K. Point at a score: both rows light up, and the products are written out below." },
  {
    title: "÷ √d_k, and why", see: "compare",
    says: ({ data }) => `With d_k = ${data.d_head} a dot product is a sum of ${data.d_head} products and grows like √d_k = ${Math.sqrt(data.d_head).toFixed(2)}. Undivided, softmax saturates and its gradient fades.`,
    tries: ["switch ÷ √d_k", (app) => app.act({ do: "switch", values: { scale: !app.data.switches.scale } })],
  },
  { title: "Softmax makes probabilities", see: "weights", says: () => "Each row of A is positive and sums to 1, whatever the scores were.", tries: ["without softmax", (app) => app.act({ do: "switch", values: { softmax: app.data.switches.softmax === "none" ? "softmax" : "none" } })] },
  { title: "The output is a weighted sum", see: "output", says: () => "A row of O mixes the rows of V in the shares of that row of A." },
  {
    title: "All words at once", see: "weights",
    says: ({ data: { alone, words } }) => `One matrix product does all rows. The row of “${words[alone.word]}” computed alone differs from it by ${alone.difference === 0 ? "exactly 0" : alone.difference.toExponential(1).replace("e-", "e−")}.`,
  },
  {
    title: "A word looks at itself too", see: "weights",
    says: (app) => {
      const weights = app.found.get(`weights:${app.head}`);
      return `The diagonal of A is not special: ${weights ? app.data.words.map((word, i) => `${word} ${shown(at(weights, i, i))}`).join(", ") : ""}.`;
    },
  },
  {
    title: "Distance costs nothing", see: "weights",
    says: () => "Move the first word to the end: its weights go with it, unchanged, until positions are switched on.",
    tries: ["move it", (app) => app.act({ do: "move", word: 0, to: app.data.words.length - 1 })],
  },
  {
    title: "Order is invisible without positions", see: "projected",
    says: () => "Shuffle the words: the output is the same rows, shuffled. Switch positions on and shuffle again.",
    tries: ["switch positions", (app) => app.act({ do: "switch", values: { positions: app.data.switches.positions === "none" ? "rotary" : "none" } })],
  },
  { title: "Several heads see different things", see: "joined", says: ({ data }) => (data.n_heads > 1 ? `${data.n_heads} heads of d_k = ${data.d_head} have their own weights; H sets their outputs side by side.` : "One head has one set of weights. Divide the same columns among several (switch “heads”) and each has its own.") },
];

/** @param {Lab} app */
export function createIdeas(app) {
  const items = IDEAS.map((idea) => {
    const words = h("p", null);
    const see = h("button", { type: "button", class: "sl-plain", onclick: () => app.goTo(idea.see), "aria-label": `See: ${idea.title}` }, "see it");
    const tries = idea.tries && h("button", { type: "button", class: "sl-plain", onclick: () => idea.tries?.[1](app) }, idea.tries[0]);
    return { idea, words, element: h("li", null, h("b", null, idea.title), words, h("span", { class: "lab-links" }, see, tries ?? null)) };
  });
  const element = h("section", { class: "lab-panel lab-ideas", "aria-label": "Ten ideas" }, h("h3", null, "Ten ideas, and where to see them"), h("ol", null, ...items.map((item) => item.element)));
  return {
    element,
    draw() {
      for (const { idea, words } of items) say(words, idea.says(app));
    },
  };
}
