/**
 * What the browser tells Python, so that nothing gets lost: every action is told again until Python has said that it
 * did it. (Streamlit runs the script for the newest of several quick values; an older one alone would be forgotten.)
 *
 * @typedef {{do: string, [detail: string]: unknown}} Wish  what is to be done, and its details
 * @typedef {Wish & {n: number}} Action  with its number
 */

/** Actions kept at most; a hand does not make more before an answer comes. */
const MOST = 64;
/** Previews in quick succession are told this often, ms. */
const PACE = 60;

let last = 0;

/** Numbers that grow, also across pages and visits. */
function number() {
  last = Math.max(last + 1, Date.now());
  return last;
}

/**
 * @param {(actions: Action[]) => void} send
 * @param {{now?: () => number, later?: (run: () => void, ms: number) => unknown}} [clock]
 */
export function createQueue(send, { now = () => performance.now(), later = (run, ms) => setTimeout(run, ms) } = {}) {
  /** @type {Action[]} */
  let waiting = [];
  /** @type {Wish | null} */
  let preview = null;
  let previewed = -Infinity;
  let timed = false;

  /** @param {Wish} action */
  function push(action) {
    waiting.push({ ...action, n: number() });
    if (waiting.length > MOST) waiting = waiting.slice(-MOST);
    send([...waiting]);
  }

  function flush() {
    timed = false;
    if (!preview) return;
    const action = preview;
    preview = null;
    previewed = now();
    waiting = waiting.filter((one) => one.do !== "preview"); // only the newest of them matters
    push(action);
  }

  return {
    /** @param {Wish} action */
    tell(action) {
      preview = null;
      waiting = waiting.filter((one) => one.do !== "preview");
      push(action);
    },
    /**
     * What a slider is passing over, a cell's text or a switch's values: shown, not yet done.
     * @param {Record<string, unknown>} action
     */
    pass(action) {
      preview = { ...action, do: "preview" };
      if (timed) return;
      timed = true;
      later(flush, Math.max(PACE - (now() - previewed), 0));
    },
    /** Tell once more what has not been done: the view was taken away and put back in between. */
    again() {
      if (waiting.length) send([...waiting]);
    },
    /** Python has done everything up to here. @param {number} n */
    done(n) {
      waiting = waiting.filter((one) => one.n > n);
    },
    get waiting() {
      return waiting;
    },
  };
}
