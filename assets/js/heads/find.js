/**
 * "Which head looks from … to …?": two tokens of the text, and the heads that look from one to the other, ranked.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { exchange, h, mark, say } from "../base/dom.js";
import { LOOK, strongest } from "./data.js";
import { createTokens } from "./tokens.js";
import { count, quoted, weightText } from "../base/words.js";

/** Heads in the ranking. */
const RANKED = 8;

/**
 * True if two tokens are pieces of one word.
 * @param {import("./data.js").Word[]} words
 * @param {number} i
 * @param {number | null} at
 */
function sameWord(words, i, at) {
  return at !== null && words[i].w === words[at]?.w;
}

/** "strongest of 16", "3rd of 16" @param {number} rank @param {number} of */
export function placed(rank, of) {
  if (rank === 1) return `strongest of ${count(of)}`;
  const end = { 1: "st", 2: "nd", 3: "rd" }[rank % 10];
  return `${count(rank)}${end && Math.floor(rank / 10) % 10 !== 1 ? end : "th"} of ${count(of)}`;
}

/** @param {HeadsView} app */
export function createFind(app) {
  /** Which of the two the next click sets. @type {"query" | "key"} */
  let slot = "query";
  const slots = /** @type {const} */ (["query", "key"]).map((name) =>
    h(
      "button",
      {
        type: "button",
        class: `sl-slot sl-${name}`,
        "data-slot": name,
        "data-testid": `sl-find-${name}`,
        onclick: () => aim(name),
      },
      h("bdi", { class: "sl-mono" }),
    ),
  );
  const clear = h(
    "button",
    {
      type: "button",
      class: "sl-plain",
      onclick: () => {
        aim("query");
        app.setPair({ query: null, key: null });
      },
    },
    "clear",
  );
  const kind = h("select", { "aria-label": "Which attention", onchange: () => app.setGroup(kind.selectedIndex) });
  const tokens = createTokens("Tokens of the text", take);
  const hint = h("p", { class: "sl-second" });
  const ranked = createRanked(app);
  const element = h(
    "section",
    { class: "sl-find", "aria-label": "Find heads that look from one token to another", "data-testid": "sl-find" },
    h(
      "div",
      { class: "sl-find-ask" },
      h("h2", null, "Which head looks from"),
      slots[0],
      h("h2", { "aria-hidden": "true" }, "to"),
      slots[1],
      h("h2", { "aria-hidden": "true" }, "?"),
      kind,
      clear,
    ),
    hint,
    tokens.element,
    ranked.list,
    ranked.rest,
  );
  let made = "";

  /** @param {"query" | "key"} name */
  function aim(name) {
    slot = name;
    draw();
    tokens.focus();
  }

  /** @param {number} at */
  function take(at) {
    const other = slot === "query" ? "key" : "query";
    const set = slot;
    if (app.pair[other] === null) slot = other;
    app.setPair({ ...app.pair, [set]: at });
    const words = app.pairTokens();
    app.announce(
      set === "query" ? `from ${words.query ?? ""}; now the token that is looked at` : `to ${words.key ?? ""}`,
    );
  }

  /** The choice came from outside: the next click sets what is missing. */
  function adopt() {
    slot = app.pair.query === null ? "query" : "key";
  }

  function draw() {
    const { heads, pair } = app;
    const group = heads.groups[app.group];
    const layer = heads.layers[group.layers[0]];
    const side = slot === "query" ? layer.queries : layer.keys;
    const words = heads.tokens[side] ?? [];
    const chosen = app.pairTokens();
    slots.forEach((button, at) => {
      const name = /** @type {const} */ (["query", "key"])[at];
      const bdi = /** @type {HTMLElement} */ (button.firstChild);
      say(bdi, chosen[name] ?? (name === "query" ? "this token" : "that token"));
      mark(button, "data-empty", chosen[name] === null);
      mark(button, "aria-pressed", String(slot === name));
      mark(
        button,
        "aria-label",
        `${name === "query" ? "From" : "To"}: ` +
          `${chosen[name] === null ? "no token yet" : `${quoted(chosen[name] ?? "")}, token ${pair[name]}`}. ` +
          `${slot === name ? "The tokens below set this one." : "Press, then choose a token below."}`,
      );
    });
    kind.hidden = heads.groups.length < 2;
    if (!kind.hidden && kind.options.length !== heads.groups.length)
      kind.replaceChildren(...heads.groups.map(({ title }) => h("option", null, title)));
    kind.selectedIndex = app.group;
    clear.hidden = pair.query === null && pair.key === null;
    const wanted = `${app.shownKey}|${side}`;
    if (made !== wanted) {
      made = wanted;
      tokens.show(words, 0, (i) => ({ title: `token ${i}` }));
    }
    tokens.buttons.forEach((token, i) => {
      const asQuery = layer.queries === side && sameWord(words, i, pair.query);
      const asKey = layer.keys === side && sameWord(words, i, pair.key);
      mark(token, "data-here", asQuery ? "query" : asKey ? "key" : null);
      mark(token, "data-both", asQuery && asKey);
      mark(token, "aria-pressed", String(slot === "query" ? asQuery : asKey));
    });
    say(
      hint,
      pair.query !== null && pair.key !== null
        ? ""
        : slot === "query"
          ? "Choose the token that looks."
          : "Now choose the token that is looked at.",
    );
    hint.hidden = !hint.textContent;
    ranked.draw();
  }

  return { element, adopt, draw, marks: ranked.marks };
}

/** The heads that look most from the one token to the other. @param {HeadsView} app */
function createRanked(app) {
  const list = h("ol", { class: "sl-ranked", "data-testid": "sl-find-ranked" });
  const rest = h("p", { class: "sl-second" });
  list.onclick = (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) app.choose(Number(button.dataset.i), "find");
  };

  function draw() {
    const { heads } = app;
    const ready = Boolean(heads.look) && app.pair.query !== null && app.pair.key !== null;
    const late = ready && app.lookOf !== app.pair;
    list.hidden = !ready;
    rest.hidden = !ready && !app.lookFailed;
    // the numbers of the pair before: only their room is kept
    for (const part of [list, rest]) part.style.visibility = late ? "hidden" : "";
    if (app.lookFailed) say(rest, app.lookFailed);
    if (!ready || late) return;
    const { ranks, of, null: chance } = /** @type {NonNullable<typeof heads.looked>} */ (heads.looked);
    const best = strongest(heads, LOOK, RANKED);
    exchange(
      list,
      ...best.map((i, rank) => {
        const value = heads.value(LOOK, i);
        const bar = h("span", { class: "sl-bar" });
        bar.style.width = `${Math.min(value, 1) * 100}%`;
        const label = heads.label(i);
        return h(
          "li",
          null,
          h(
            "button",
            {
              type: "button",
              "data-i": i,
              "aria-current": i === app.selected,
              "aria-label":
                `${rank + 1}: ${heads.titleOf(i)}, ${weightText(value)}, ` +
                `${placed(ranks[i], of)}${label ? `, ${heads.cards?.[i]?.title}` : ""}`,
            },
            h("span", { class: "sl-mono sl-name" }, heads.places[i].name),
            h("span", { class: "sl-track" }, bar),
            h("span", { class: "sl-mono sl-number" }, weightText(value)),
            h("span", { class: "sl-second sl-placed" }, placed(ranks[i], of)),
          ),
        );
      }),
    );
    const all = heads.places.filter(({ i }) => heads.value(LOOK, i) === heads.value(LOOK, i));
    if (!all.length) say(rest, "No head may look from this token to that one: it is masked.");
    else
      say(
        rest,
        `${app.data.by_norm ? "Share of ‖a·v·W_O‖" : "Weight"}, 0 to 1, bars on the same scale; the ` +
          `${Math.min(RANKED, all.length)} largest of ${count(all.length)} heads, and the word’s place among ` +
          `all ${count(of)} that the row reads.` +
          (chance === null ? "" : ` For comparison: the same rows give other words ${chance.toFixed(3)} on average.`),
      );
  }

  /** Only which head is chosen has changed. */
  function marks() {
    for (const button of list.querySelectorAll("button"))
      mark(button, "aria-current", Number(button.dataset.i) === app.selected);
  }

  return { list, rest, draw, marks };
}
