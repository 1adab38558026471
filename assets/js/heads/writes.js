/**
 * What the chosen head writes at the followed token: the words that it raises and lowers, for models with a vocabulary.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { h, mark, say } from "../base/dom.js";
import { LostError } from "../base/source.js";
import { quoted } from "../base/words.js";

/** @param {HeadsView} app */
export function createWrites(app) {
  const title = h("p", { class: "sl-across-title" });
  const lists = /** @type {const} */ (["raised", "lowered"]).map((name) => {
    const list = h("ol", { class: "sl-writes-list", "data-side": name, "data-testid": `sl-writes-${name}` });
    return { name, list, part: h("div", null, h("h3", null, name === "raised" ? "▲ raises" : "▼ lowers"), list) };
  });
  const two = h("div", { class: "sl-writes-two" }, ...lists.map(({ part }) => part));
  const says = h("p", { class: "sl-second sl-prose76", "data-testid": "sl-writes-says" });
  const element = h(
    "section",
    { class: "sl-heads-wide sl-writes", "aria-label": "What this head writes", "data-testid": "sl-writes" },
    h("h2", null, "What this head writes"),
    title,
    two,
    says,
  );
  let loaded = "";

  function draw() {
    const { heads, selected } = app;
    const place = selected === null ? null : heads.places[selected];
    const query = place ? app.followed(heads.groups[heads.groupOf(selected)].id, true) : 0;
    if (!place) {
      loaded = "";
      say(title, "");
      two.hidden = true;
      say(says, "Choose a head: what it writes into the token’s vector, read as words, comes here.");
      return;
    }
    const word = heads.tokens[heads.layers[place.layer].queries][query]?.t ?? "";
    say(title, `${heads.titleOf(place.i)}, at ${quoted(word)}`);
    const name = `${app.shownKey}|${place.layer}|${place.head}|${query}`;
    if (loaded === name) return;
    load(name, `heads/writes/${place.layer}/${place.head}/${query}`);
  }

  /** @param {string} name @param {string} path */
  async function load(name, path) {
    loaded = name;
    mark(element, "aria-busy", true);
    try {
      /** @type {import("./packs").WritesPack | undefined} */
      const pack = await app.source?.pack(path);
      if (!pack || loaded !== name) return;
      show(pack.meta);
    } catch (error) {
      if (loaded !== name) return;
      if (error instanceof LostError) loaded = ""; // the next drawing asks again
      two.hidden = true;
      say(says, /** @type {Error} */ (error).message);
    }
    mark(element, "aria-busy", false);
  }

  /** @param {import("./packs").WritesPack["meta"]} meta */
  function show(meta) {
    two.hidden = !meta.raised;
    if (!meta.raised) {
      say(says, meta.unsaid);
      return;
    }
    const most = Math.max(...[...meta.raised, ...meta.lowered].map(({ by }) => Math.abs(by)), 1e-9);
    for (const { name, list } of lists) {
      list.replaceChildren(
        ...meta[name].map(({ t, by }) => {
          const bar = h("span", { class: "sl-bar" });
          bar.style.width = `${(100 * Math.abs(by)) / most}%`;
          return h(
            "li",
            null,
            h("bdi", { class: "sl-mono" }, t),
            h("span", { class: "sl-lane" }, bar),
            h("span", { class: "sl-mono sl-number" }, `${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(3)}`),
          );
        }),
      );
    }
    say(
      says,
      "Change of the word’s score (logit), relative to the mean over the vocabulary; over all words its " +
        `standard deviation is ${meta.spread.toFixed(3)}. The vector written is ${meta.length.toFixed(2)} ` +
        `long. ${meta.says} The direct effect only: what later layers make of it is left out.`,
    );
  }

  return { element, draw };
}
