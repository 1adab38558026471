/**
 * What we lean on in Streamlit's page: names of its elements that nobody promises to keep.
 *
 * `first-frame.js`, which asks for no other module, and the sheets `page.css` and `embedded.css` name more of them.
 */

/** The app, and its attribute that says whether it is connected to its server. */
const APP = '[data-testid="stApp"]';
const STATE = "data-test-connection-state";
/** What lies over the page and closes by Escape itself: an open menu, a dialog. */
const OVER = '[data-testid="stPopoverBody"], [data-testid="stDialog"], [data-baseweb="popover"]';
/** The navigation of a narrow screen while it is open, and what closes it. */
const MENU = '[data-testid="stSidebar"]';
const CLOSES_MENU = '[data-testid="stSidebarCollapseButton"] button';
/** What the pages draw, without the navigation. */
const MAIN = '[data-testid="stMain"]';

/** A link of its menu of pages, on top or at the side. */
const LINK = 'a:is([data-testid="stTopNavLink"], [data-testid="stSidebarNavLink"])';

/**
 * The page that a click on Streamlit's menu opens, as its address below the app's root; null if it opens none here: a
 * click elsewhere, or one that opens another tab. Where the names are others a choice of the last moment stays behind.
 *
 * @param {MouseEvent} event
 */
export function pageOfLink(event) {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest?.(LINK));
  return link && (new URL(link.href, document.baseURI).pathname.split("/").at(-1) ?? "");
}

/**
 * Tells whenever the page is connected to its server or no more. Where the names are others it tells nothing, and a
 * page whose server was restarted waits for the visitor's next click.
 *
 * @param {(connected: boolean) => void} tell
 * @returns {() => void} stop
 */
export function watchConnection(tell) {
  const app = document.querySelector(APP);
  if (!app) return () => {};
  const observer = new MutationObserver(() => tell(app.getAttribute(STATE) === "CONNECTED"));
  observer.observe(app, { attributes: true, attributeFilter: [STATE] });
  return () => observer.disconnect();
}

/**
 * Is something of Streamlit's own open that Escape closes? Where the names are others, Escape does two things at a
 * time.
 */
export function somethingIsOpen() {
  return document.querySelector(OVER) !== null;
}

/** Close the menu of a narrow screen. Where the names are others, it stays open over the page that was chosen. */
export function closeMenu() {
  if (document.querySelector(MENU)) /** @type {HTMLElement | null} */ (document.querySelector(CLOSES_MENU))?.click();
}

/** The headings of first rank on the page, those in a view too. @returns {HTMLElement[]} */
export function headings() {
  const main = document.querySelector(MAIN);
  if (!main) return [];
  const views = [...main.querySelectorAll("*")].flatMap((element) => element.shadowRoot ?? []);
  return [main, ...views].flatMap((root) => [...root.querySelectorAll("h1")]);
}
