/**
 * Packs that are fetched when something opens: the products behind a number, a step for all tokens.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */

/** Where what belongs to this ledger is fetched. @param {Steps} app */
export function base(app) {
  const { layer, head, query } = app.meta;
  return `ledger/${layer}/${head}/${query}`;
}

/**
 * A pack that is here, or null while it is fetched (the view is then drawn again).
 *
 * @template {object} P  the type that the server has for this path
 * @param {Steps} app @param {string} path @returns {P | null}
 */
export function fetched(app, path) {
  const source = /** @type {import("../base/source.js").HttpSource} */ (app.source);
  const kept = source.kept.get(path);
  if (kept) return /** @type {P} */ (kept.pack);
  if (!source.waiting.has(path) && app.failed !== path) {
    source.pack(path).then(
      () => app.drawSoon(),
      (/** @type {Error} */ error) => {
        app.failed = path;
        app.tell(error.message);
      },
    );
  }
  return null;
}
