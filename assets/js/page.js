/**
 * What belongs to no view: the way past the navigation, where the focus lands on a page that was opened, and the menu
 * of a narrow screen.
 */
import { closeMenu, headings } from "./base/streamlit.js";

const HEADING_EVERY_MS = 50;
const HEADING_WITHIN_MS = 15_000; // a page whose model is still being read has its heading long before

/** The heading of the page that is shown: the next page's is another one. @type {string | null} */
let shown = "";
/** @type {ReturnType<typeof setInterval> | undefined} */
let waiting = undefined;

skipLink();
watchPages(() => {
  closeMenu();
  awaitHeading();
});
awaitHeading(false);

/** The first thing that Tab reaches: it leads to what the view is about. */
function skipLink() {
  const link = document.createElement("a");
  link.className = "sl-skip";
  link.href = "#";
  link.textContent = "Skip to the picture";
  link.onclick = (event) => {
    event.preventDefault();
    const asked = new CustomEvent("sightline:skip", { cancelable: true });
    if (document.dispatchEvent(asked)) land(headings()[0]); // no view took it
  };
  document.body.prepend(link);
}

/** Streamlit changes pages by pushing an address, and tells nobody. @param {() => void} opened */
function watchPages(opened) {
  let at = location.pathname;
  const look = () => {
    if (location.pathname === at) return;
    at = location.pathname;
    opened();
  };
  const push = history.pushState.bind(history);
  history.pushState = (...given) => {
    push(...given);
    look();
  };
  addEventListener("popstate", look);
}

/**
 * Wait for the heading of the page that is coming, and focus it unless its visitor is somewhere else by then.
 *
 * @param {boolean} [focus]  false for the page that is loaded first: there the focus begins at the top
 */
function awaitHeading(focus = true) {
  clearInterval(waiting);
  const from = document.activeElement;
  const until = performance.now() + HEADING_WITHIN_MS;
  waiting = setInterval(() => {
    const now = document.activeElement;
    const gone = focus && now !== from && now !== document.body;
    const heading = headings().find((one) => one.textContent !== shown);
    const done = heading && (!focus || gone || land(heading)); // a view is hidden until its style sheet is there
    if (heading && done) shown = heading.textContent;
    if (done || performance.now() > until) clearInterval(waiting);
  }, HEADING_EVERY_MS);
}

/** Focus a heading; false if it cannot be focused (yet). @param {HTMLElement | undefined} heading */
function land(heading) {
  if (!heading) return false;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  return heading.matches(":focus");
}
