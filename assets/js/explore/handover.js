/**
 * From the first frame's explorer to the page's own: the same module with the same numbers, so that what was done in
 * the one goes on in the other.
 *
 * @typedef {import("./app.js").App} App
 */
import { focusedBy } from "../base/dom.js";
import { initial, same } from "../base/selection.js";

/**
 * Give the page's own explorer the choice, the options, the zoom and what is pointed at.
 *
 * @param {App} before @param {App} app
 * @returns {() => void} gives it the focus too, once it is painted
 */
export function takeOver(before, app) {
  const from = before.frame.host;
  if (before.data.key !== app.data.key) return () => {};
  const typed = before.overview?.key !== app.overview?.key; // its picture followed what was typed
  const place = placeIn(from, focusedBy(from));
  const [was, now] = [app.selection, before.selection];
  const another = now.layer !== was.layer || now.head !== was.head;
  if (typed) app.following.goOn(before.following);
  const news = another || !same(now.pin, was.pin) || JSON.stringify(before.options) !== JSON.stringify(app.options);
  app.options = { ...before.options };
  app.selection = typed ? initial(now.layer, now.head) : now;
  app.peek = before.peek;
  if (another) {
    app.tokensOf(now.layer);
    app.numbers.open();
  }
  if (!typed) app.frame.heatmap.zoomed = before.frame.heatmap.zoomed;
  if (news) app.sync.later();
  return () => {
    if (place) at(app.frame.host, place)?.focus({ preventScroll: true });
  };
}

/**
 * A view's link for what is chosen now, which Python has not been told: layer, head and the marked tokens.
 *
 * @param {App} app
 */
export function linkNow({ data, selection: { layer, head, pin }, queries, keys }) {
  const params = new URLSearchParams(data.link ?? "");
  const tokens = { q: queries[pin?.query ?? -1], k: keys[pin?.key ?? -1] };
  params.set("l", String(layer));
  params.set("h", String(head));
  for (const [name, token] of Object.entries(tokens)) {
    if (token) params.set(name, String(token.i));
    else params.delete(name);
  }
  return `?${params}`;
}

/**
 * The way down from an element to one inside of it, by numbers of children; null if it is not inside.
 *
 * @param {Element} from @param {Element | null} to
 */
function placeIn(from, to) {
  /** @type {number[]} */
  const place = [];
  for (let each = to; each !== from; each = each.parentElement) {
    if (!each?.parentElement) return null;
    place.unshift([...each.parentElement.children].indexOf(each));
  }
  return place;
}

/** The element that stands there in another of the same kind. @param {Element} from @param {number[]} place */
function at(from, place) {
  /** @type {Element | undefined} */
  let found = from;
  for (const child of place) found = found?.children[child];
  return /** @type {HTMLElement | undefined} */ (found);
}
