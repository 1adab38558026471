/**
 * Two or three things worth a look in this text, each a button that opens the head and marks the words. They are
 * computed from this text, and there are none where nothing beats chance.
 *
 * @typedef {import("../app.js").App} App
 * @typedef {{kind: "link" | "earlier" | "back" | "ahead", layer: number, head: number, query: number | null, key:
 *   number | null, score: number, null: number}} Find
 * @typedef {{state: "ready" | "later", finds: Find[], says: string}} Finds
 */
import { h, say } from "../../base/dom.js";
import { share } from "./answer.js";

/** While others wait for the server, it is asked again after this, ms; so often. */
const LATER = 4000;
const TRIES = 6;

/**
 * A find in words, and what its numbers are.
 *
 * @param {Find} find @param {string[]} queries  tokens as shown @param {string[]} keys
 * @returns {{parts: (string | {t: string})[], says: string}}
 */
export function inWords(find, queries, keys) {
  const where = `${find.layer}.${find.head}`;
  const beats = `of chance at most ${share(find.null)}`;
  if (find.query !== null && find.key !== null) {
    const [q, k] = [{ t: queries[find.query] ?? "" }, { t: keys[find.key] ?? "" }];
    const says = `weight ${share(find.score)}; with other words in these places, or from the other words: ${beats}`;
    return find.kind === "earlier"
      ? { parts: [q, " finds the earlier ", k, `: ${where}`], says }
      : { parts: [q, " → ", k, ` in ${where}`], says };
  }
  const way = find.kind === "back" ? "one back" : "one ahead";
  return {
    parts: [`a head that looks ${way}: ${where}`],
    says:
      `share of the attention between words: ${share(find.score)}; other distances, or keys drawn at random: ` +
      `${beats}`,
  };
}

/** @param {App} app */
export function createFinds(app) {
  const list = h("span", { class: "sl-finds-list" });
  const element = h(
    "p",
    { class: "sl-finds", "data-testid": "sl-finds" },
    h("span", { class: "sl-second" }, "In this text: "),
    list,
  );
  let asked = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {number} tries */
  async function ask(tries) {
    const { overview, source } = app;
    if (!overview || !source || !("answer" in source) || app.life.signal.aborted) return;
    const key = overview.key;
    /** @type {Finds} */
    let found;
    try {
      found = await (await source.answer("finds")).json();
    } catch {
      return;
    }
    if (app.overview?.key !== key) return;
    if (found.state === "later" && tries > 0) timer = setTimeout(() => ask(tries - 1), LATER);
    show(found);
  }

  /** @param {Finds} found */
  function show(found) {
    const { overview } = app;
    element.style.visibility = found.state === "ready" && (found.finds.length || found.says) ? "" : "hidden";
    if (!found.finds.length) return say(list, found.says);
    list.replaceChildren(
      ...found.finds.flatMap((find, i) => [i ? " · " : "", button(find, /** @type {any} */ (overview))]),
    );
  }

  /** @param {Find} find @param {import("../../picture/overview.js").Overview} overview */
  function button(find, overview) {
    // Their places are the text's own; what is hidden here is still named.
    const [queries, keys] = [overview.queries(find.layer), overview.keys(find.layer)];
    const place = (
      /** @type {import("../../picture/overview.js").Token[]} */ tokens,
      /** @type {number | null} */ at,
    ) => (at === null ? -1 : tokens.findIndex((token) => token.p.includes(at)));
    const [q, k] = [place(queries, find.query), place(keys, find.key)];
    const { parts, says } = inWords(
      { ...find, query: find.query === null ? null : q, key: find.key === null ? null : k },
      queries.map(({ t }) => t),
      keys.map(({ t }) => t),
    );
    return h(
      "button",
      {
        type: "button",
        class: "sl-plain",
        "data-find": find.kind,
        title: says,
        onclick: () => {
          app.choose(find.layer, find.head);
          app.dispatch({ type: "place", pin: q < 0 || k < 0 ? null : { query: q, key: k } });
        },
      },
      ...parts.map((part) => (typeof part === "string" ? part : h("bdi", { class: "sl-mono" }, part.t))),
    );
  }

  function draw() {
    const { overview, data } = app;
    if (!overview || data.first || app.inline || overview.key === asked) return;
    asked = overview.key;
    clearTimeout(timer);
    element.style.visibility = "hidden";
    ask(TRIES);
  }

  element.style.visibility = "hidden";
  return { element, draw };
}
