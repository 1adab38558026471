/** Waiting for what only newer data from Python can bring, such as the link of what is on screen. */

export function createAwaiting() {
  /** @type {Set<() => void>} */
  const waiting = new Set();
  return {
    /** New data have come. */
    arrived() {
      for (const check of [...waiting]) check();
    },
    /**
     * Resolves when it holds, or after `patience` ms.
     * @param {() => boolean} holds
     * @param {number} patience
     * @returns {Promise<void>}
     */
    until(holds, patience) {
      if (holds()) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(check);
          resolve();
        };
        const check = () => holds() && end();
        const timer = setTimeout(end, patience);
        waiting.add(check);
      });
    },
    stop() {
      waiting.clear();
    },
  };
}
