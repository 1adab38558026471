/**
 * The picture follows the typing: a text that rests for a moment is read by the model of the page and drawn, before
 * anybody commits it. What is asked while the server is busy, or about a text that cannot be read, changes nothing.
 *
 * @typedef {import("./app.js").App} App
 *
 * What the text box says, as the event `sightline:typed`; null: what it holds is what Python has.
 * @typedef {{text: string, pair?: string, target?: string, start?: number, committed?: boolean}} Typed
 */

/** A page's name for the server, which answers each page one question at a time. */
const PAGE = Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 8).padEnd(6, "0")).join("");

/** Bytes of a question; the server refuses a longer one, and its text waits for Enter. */
const MOST_BYTES = 40_000;

/** @param {App} app @param {typeof fetch} [get] */
export function createFollowing(app, get = (...args) => fetch(...args)) {
  /** @type {Typed | null} what is in the text box and not in the page */
  let typed = null;
  /**
   * @type {{over: string, key: string, can: App["data"]["can"]} | null} its numbers, and Python's key that they stand
   *   over
   */
  let found = null;
  /** @type {AbortController | null} */
  let asking = null;

  /** @param {Typed | null} texts */
  function follow(texts) {
    asking?.abort();
    asking = null;
    typed = texts;
    if (typed) return ask(typed);
    if (!found) return;
    found = null;
    app.numbers.load();
  }

  /** @param {Typed} texts */
  async function ask({ committed: _, ...texts }) {
    const over = app.data.key;
    if (!over || app.data.packs || app.data.given) return;
    const mine = (asking = new AbortController());
    const { layer, head } = app.selection;
    const body = JSON.stringify({ ...texts, layer, head });
    if (new TextEncoder().encode(body).length > MOST_BYTES) return;
    const address = new URL(`sightline/data/${encodeURIComponent(over)}/typed/${PAGE}`, document.baseURI).href;
    try {
      const answer = await get(address, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
        signal: mine.signal,
      });
      if (!answer.ok) return;
      const { key, can } = await answer.json();
      // nothing was read, or Python was quicker, or shows something else
      if (!key || mine.signal.aborted || app.data.key !== over) return;
      if (key === over) typed = null;
      found = key === over ? null : { over, key, can };
      app.numbers.load();
    } catch {
      // no answer: Enter asks Python, which says why
    }
  }

  const hear = (/** @type {Event} */ event) => follow(/** @type {CustomEvent<Typed | null>} */ (event).detail);
  document.addEventListener("sightline:typed", hear, { signal: app.life.signal });

  return {
    /** Names the numbers that are to be shown instead of Python's; null: Python's are. */
    get key() {
      return found?.key ?? null;
    },
    /** What their trace allows. */
    get can() {
      return found?.can ?? app.data.can;
    },
    /** Data have come from Python: a text that was committed is there now; one that was not goes on over other data. */
    arrived() {
      const { key } = app.data;
      if (!typed || key === found?.over) return;
      if (typed.committed || key === found?.key) {
        asking?.abort();
        typed = found = null;
      } else {
        found = null;
        follow(typed);
      }
    },
    /**
     * Go on with what the first frame's explorer followed.
     * @param {{texts: Typed | null, found: typeof found}} before
     */
    goOn(before) {
      [typed, found] = [before.texts, before.found];
      app.numbers.load();
    },
    get texts() {
      return typed;
    },
    get found() {
      return found;
    },
    stop: () => asking?.abort(),
  };
}
