/**
 * One experiment on the server: begun, looked at while it runs, stopped. The server keeps what came of it for all.
 *
 * @template Found
 * @typedef {import("./told").Told<Found>} Told
 */

const EVERY = 400;

/** This page's name among those that watch. */
const PAGE = Array.from(crypto.getRandomValues(new Uint8Array(12)), (one) => one.toString(16).padStart(2, "0")).join(
  "",
);

/**
 * @template Found
 * @param {"sweep" | "effect" | "lenses"} kind
 * @param {(told: Told<Found>, found: Found | null) => void} tell  told at every news; `found`: the newest
 */
export function createPolling(kind, tell) {
  /** What is looked at. @type {{source: import("../base/source.js").HttpSource, query: string} | null} */
  let at = null;
  /** @type {Found | null} */
  let found = null;
  let stage = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let running = false;

  /** @param {string} [verb] @returns {Promise<Told<Found> | null>} null: something else is looked at by now */
  async function ask(verb = "") {
    const asked = at;
    if (!asked) return null;
    clearTimeout(timer);
    /** @type {Told<Found>} */
    let told;
    try {
      const path = `experiment/${kind}${verb}?${asked.query}&have=${encodeURIComponent(stage)}`;
      const response = await (verb ? post(asked.source, path) : asked.source.answer(path));
      if (response.status === 204) return null;
      told = await response.json();
    } catch (error) {
      told = { state: "failed", says: /** @type {Error} */ (error).message, done: 0, total: 0, ahead: 0, stage, found };
    }
    if (at !== asked) return null;
    if (told.found) found = told.found;
    stage = told.stage;
    tell(told, found);
    clearTimeout(timer); // another answer may have come meanwhile
    running = told.state === "working";
    if (running) timer = setTimeout(ask, EVERY);
    return told;
  }

  return {
    /**
     * Look at another experiment: what is known of it is told. Nothing is begun.
     * @param {import("../base/source.js").HttpSource} source @param {object} of @param {object | null} question
     */
    look(source, of, question) {
      const query = new URLSearchParams({ of: JSON.stringify(of), page: PAGE });
      if (question) query.set("question", JSON.stringify(question));
      this.leave();
      at = { source, query: String(query) };
      found = null;
      stage = "";
      return ask();
    },
    /** Begin what is looked at. */
    begin: () => ask("/begin"),
    /** Stop it: the next look says what was done. */
    async stop() {
      const asked = at;
      if (!asked) return;
      await post(asked.source, `experiment/${kind}/stop?${asked.query}`).catch(() => null);
      if (at === asked) await ask();
    },
    /** Nothing is looked at any more; what runs for nobody else is stopped. */
    leave() {
      clearTimeout(timer);
      if (at && running) post(at.source, `experiment/${kind}/stop?${at.query}`).catch(() => null);
      running = false;
      at = null;
    },
  };
}

/** @param {import("../base/source.js").HttpSource} source @param {string} path */
async function post(source, path) {
  const response = await fetch(new URL(path, source.base), { method: "POST", keepalive: true });
  if (!response.ok) {
    const said = await response.json().catch(() => null);
    throw new Error(said?.error ? String(said.error) : `The server could not begin this (status ${response.status}).`);
  }
  return response;
}
