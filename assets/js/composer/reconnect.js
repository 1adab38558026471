/**
 * Tells when the page is connected again to a server that is not the one it knew.
 *
 * Streamlit connects again by itself, to a new session that knows nothing of this page, and waits for the visitor's
 * next click. The address and what stands in the text box are still here: one run brings the rest back.
 */
import { watchConnection } from "../base/streamlit.js";

/** @typedef {{boot?: string}} Health  boot: the server's own name for its process */

/**
 * @param {() => string | undefined} known the server that the page's data came from
 * @param {() => void} onNew
 * @param {(url: string) => Promise<Health>} [ask]
 * @returns {() => void} stop
 */
export function watchServer(known, onNew, ask = askHealth) {
  let connected = true;
  return watchConnection(async (now) => {
    const back = now && !connected;
    connected = now;
    if (!back) return;
    const { boot } = await ask(new URL("sightline/health", document.baseURI).href).catch(
      () => /** @type {Health} */ ({}),
    );
    if (boot && boot !== known()) onNew();
  });
}

/** @param {string} url @returns {Promise<Health>} */
async function askHealth(url) {
  return (await fetch(url, { cache: "no-store" })).json();
}
