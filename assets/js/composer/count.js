/**
 * Counts tokens at the server while somebody types: waits for a pause, and only the newest question is answered.
 */

/** @typedef {import("./text.js").Count} Count */
/** @typedef {{text: string, pair: string, target: string}} Body  what is counted */

export const PAUSE_MS = 150;
export const RETRY_MS = 1000;

/**
 * @param {object} options
 * @param {(body: Body, signal: AbortSignal) => Promise<Count>} options.ask
 * @param {(count: Count|null, body: Body) => void} options.answer null: the server could not say
 * @param {number} [options.pause] how long nothing must be typed, ms
 * @returns {{count: (body: Body, wait?: number) => void, stop: () => void}}
 */
export function createCounter({ ask, answer, pause = PAUSE_MS }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  /** @type {AbortController | undefined} */ let controller;

  function stop() {
    clearTimeout(timer);
    controller?.abort();
  }

  /** @param {Body} body */
  async function send(body) {
    const mine = (controller = new AbortController());
    let count = null;
    try {
      count = await ask(body, mine.signal);
    } catch {
      // an aborted question has no answer; a failed one is answered by "not known"
    }
    if (!mine.signal.aborted) answer(count, body);
  }

  /** @param {Body} body */
  function count(body, wait = pause) {
    stop();
    timer = setTimeout(send, wait, body);
  }

  return { count, stop };
}

/**
 * Ask the count route: POST, JSON both ways.
 * @param {string} url relative to the page
 * @param {Body} body
 * @param {AbortSignal} signal
 * @returns {Promise<Count>}
 */
export async function askServer(url, body, signal) {
  const response = await fetch(new URL(url, document.baseURI), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw new Error(`the count route answered ${response.status}`);
  return response.json();
}
