/**
 * What Python is told: the choice once it has settled, in one small frame; and the link that stands for it.
 *
 * @typedef {import("../explore/app.js").App} App
 * @typedef {import("./selection.js").Selection} Selection
 * @typedef {import("./options").Options} Options
 * @typedef {import("./options").Choice} Choice
 */
import { createAwaiting } from "./awaiting.js";
import { settle } from "./dom.js";
import { originalOf } from "./selection.js";

/** Options that need new numbers from Python: told at once. */
export const AT_ONCE = /** @type {ReadonlySet<keyof Options>} */ (
  new Set(["hide_special", "hide_first", "renormalise", "words", "by_norm"])
);

/**
 * The whole choice, in the words of the contract: query and key are original token indices.
 *
 * @param {Selection} selection
 * @param {Options} options
 * @param {{i: number}[]} queries @param {{i: number}[]} keys
 * @returns {Choice}
 */
export function payload(selection, options, queries, keys) {
  const { layer, head, pin } = selection;
  const [query, key] = [originalOf(pin?.query ?? null, queries), originalOf(pin?.key ?? null, keys)];
  return { layer, head, query, key, ...options };
}

/**
 * True if `echo` stands for this choice (what it does not mention is not compared).
 * @param {Partial<Choice> | null | undefined} echo
 * @param {Choice} view
 */
export function echoes(echo, view) {
  if (!echo) return false;
  const names = /** @type {(keyof Choice)[]} */ (Object.keys(view));
  return names.every((name) => !(name in echo) || (echo[name] ?? null) === (view[name] ?? null));
}

/** @param {App} app @param {number} [patience] ms to wait for the link */
export function createSync(app, patience = 4000) {
  /** @type {string | null} */
  let known = null;
  let toldAt = -Infinity;
  const awaiting = createAwaiting();
  const later = settle(300, send);
  const now = () => payload(app.selection, app.options, app.queries, app.keys);

  function send() {
    if (!app.overview || !app.callbacks.setState) return;
    const view = now();
    const text = JSON.stringify(view);
    if (text === known) return;
    known = text;
    toldAt = performance.now();
    app.callbacks.setState("view", view);
  }

  return {
    later,
    now: () => {
      later.cancel();
      send();
    },
    /** What is on screen, to be told by whoever asks for it: nothing more is on its way. */
    take: () => {
      later.cancel();
      const view = now();
      known = JSON.stringify(view);
      return view;
    },
    /** True while Python may not know what is on screen. @param {number} taken  how long a busy server may take, ms */
    owes: (taken) => later.waiting() || performance.now() - toldAt < taken,
    /**
     * What came from Python is known to Python, unless it had to be changed here (a pin on a token that is gone). What
     * a text that is still being typed has no place for is told once that text is committed.
     */
    agree: () => {
      const view = now();
      const { query: _, key: __, ...rest } = view;
      const told = app.following?.key ? rest : view;
      if (app.data.echo && !echoes(app.data.echo, /** @type {Choice} */ (told))) later();
      else known = JSON.stringify(view);
    },
    /** New data has come: its link may be the one that is waited for. */
    arrived: awaiting.arrived,
    stop() {
      later.cancel();
      awaiting.stop();
    },
    /** The link of what is on screen now. @returns {Promise<{url: string | null, says: string}>} */
    async link() {
      if (app.following?.key)
        return {
          url: null,
          says: "The new text is not in the address yet: press Enter in its box, then copy the link.",
        };
      later.cancel();
      const view = now();
      const ready = () => !("echo" in app.data) || echoes(app.data.echo, view);
      if (!ready()) {
        known = null;
        send();
        await awaiting.until(ready, patience);
      }
      if (!ready()) return { url: null, says: "The link is not ready yet: the server has not answered. Try again." };
      const { link, link_note: note } = app.data;
      if (!link) return { url: null, says: note || "This view has no link." };
      return { url: location.origin + location.pathname + link, says: "" };
    },
  };
}
