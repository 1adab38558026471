/**
 * The link of what is on the screen now, which may be ahead of what Python knows.
 *
 * @typedef {object} Linked
 * @property {{link: string | null, link_note?: string, echo?: object | null}} data echo: the choice that `link` stands
 *   for
 * @property {() => void} sendNow
 * @property {object | null} sent  the choice that was last sent; null if Python has said since what is chosen
 */

const EVERY_MS = 50;

/**
 * @param {Linked} view
 * @param {number} [patience] ms to wait for the link
 * @returns {Promise<{url: string | null, says: string}>}
 */
export async function linkOf(view, patience = 8_000) {
  view.sendNow();
  const ready = () => view.sent === null || same(view.data.echo, view.sent);
  for (const until = performance.now() + patience; !ready() && performance.now() < until;)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  if (!ready()) return { url: null, says: "The link is not ready yet: the server has not answered. Try again." };
  const { link, link_note: note } = view.data;
  return link
    ? { url: location.origin + location.pathname + link, says: "" }
    : { url: null, says: note || "This view has no link." };
}

/**
 * Does the report that Python has say the same as what was sent?
 * @param {object | null | undefined} echo
 * @param {object} told
 */
function same(echo, told) {
  const known = Object.entries(echo ?? {});
  return (
    known.length > 0 &&
    known.every(([name, value]) => Reflect.get(told, name) === value) &&
    known.length === Object.keys(told).length
  );
}
