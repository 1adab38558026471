// Runs before Streamlit's front end: says where the server is, lets the front end come once the first frame has been
// painted, draws the picture meanwhile if the server has it, and takes the frame away when Streamlit has drawn its own or
// has something to say that the frame would hide.

// What we lean on in Streamlit's page stands here and not in base/streamlit.js: nothing else is asked for before the frame
// is painted. Without the first, Streamlit looks for its server below the page's own address, and finds it after two
// answers of 404. Without the others, our frame stays over its page for AT_MOST_MS.
Object.assign(window, { __streamlit: { BACKEND_BASE_URL: new URL(".", document.baseURI).href } });
const OWN = [
  '[data-testid="stTopNavLink"]',
  '[data-testid="stExpandSidebarButton"]',
  '[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]',
].join(",");
const SAID = '[role="dialog"], [data-testid="stAlert"], [data-testid="stException"], .sl-said[role="alert"]';

const PAINTED_WITHIN_MS = 250; // a page in the background is not painted at all
const PICTURE_WITHIN_MS = 1000; // for so long a hundred other modules do not hold it up
const PICTURE_FOR_MS = 5000; // longer than Streamlit's page ever takes to draw the same
const AT_MOST_MS = 20_000; // whatever went wrong is then at least seen

const frame = document.getElementById("sl-first");
const root = document.getElementById("root");
const later = /** @type {HTMLTemplateElement | null} */ (document.getElementById("sl-later"));
const data = document.getElementById("sl-first-data");
/** @type {(() => void) | null} what takes the picture away again */
let picture = null;

if (later) {
  const come = () => document.head.append(later.content);
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    if (!frame || !data) return come();
    const patience = new Promise((resolve) => setTimeout(resolve, PICTURE_WITHIN_MS));
    // If it cannot be drawn, the page will say so when it tries.
    Promise.race([draw(frame, JSON.parse(data.textContent)), patience])
      .catch(() => {})
      .then(come);
  };
  requestAnimationFrame(() => setTimeout(begin));
  setTimeout(begin, PAINTED_WITHIN_MS);
}

if (frame && root) {
  let drawn = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  const leave = () => {
    observer.disconnect();
    clearTimeout(patience);
    frame.remove();
    picture?.();
  };
  const look = () => {
    if (document.querySelector(SAID)) return leave();
    if (!document.querySelector(OWN)) return;
    // The page's own explorer draws the same a moment later: until then the picture stays.
    if (!drawn) leave();
    else patience ??= setTimeout(leave, PICTURE_FOR_MS);
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { childList: true, subtree: true });
  const stay = () => {
    drawn = true;
    frame.querySelector('[role="status"]')?.classList.add("sl-first-unseen");
  };
  document.addEventListener("sightline:first", stay, { once: true });
  document.addEventListener("sightline:painted", leave, { once: true });
  setTimeout(leave, AT_MOST_MS);
}

/**
 * The explorer as the page will show it, to look at only: what would be chosen in it now would be lost.
 *
 * @param {HTMLElement} frame @param {import("./explore/explorer.js").Data & {text: string}} shown
 */
async function draw(frame, shown) {
  const place = document.createElement("div");
  place.className = "sl-first-picture";
  place.inert = true;
  place.style.visibility = "hidden"; // on its way, or without its numbers, it has nothing to say that the frame does not
  const box = frame.querySelector(".sl-first-box");
  if (box) box.textContent = shown.text;
  frame.append(place);
  const modules = /** @type {HTMLTemplateElement | null} */ (document.getElementById("sl-first-modules"));
  if (modules) document.head.append(modules.content);
  const { render } = await import("./explore/explorer.js");
  if (!frame.isConnected) return;
  const here = new Promise((resolve) => document.addEventListener("sightline:first", resolve, { once: true }));
  picture = render(place.attachShadow({ mode: "open" }), shown);
  await here;
  place.style.visibility = "";
}
