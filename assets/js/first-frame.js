// Runs before Streamlit's front end: says where the server is, lets the front end come once the first frame has been
// painted, draws the picture meanwhile if the server has it, and takes the frame away when Streamlit has drawn its own
// or has something to say that the frame would hide. What was typed until then goes over into the page's own text box,
// and what was chosen in the picture into the page's own explorer, with the focus.
//
// With our modules it talks by events on the document: `sightline:box`, the page's text box is there; `sightline:hand`,
// what
// the box of the frame holds, prevented by whoever takes it; `sightline:leaves`, the frame is about to be taken away;
// `sightline:typed`, a text after a pause.

// What we lean on in Streamlit's page stands here and not in base/streamlit.js: nothing else is asked for before the
// frame is painted. Without the first, Streamlit looks for its server below the page's own address, and finds it after
// two answers of 404. Without the next, our frame stays over its page for AT_MOST_MS. Without the name of what it
// remembers of its menu, a menu that was left open on a narrow screen is open at every load.
Object.assign(window, { __streamlit: { BACKEND_BASE_URL: new URL(".", document.baseURI).href } });
const MENU = '[data-testid="stTopNavLink"]';
const OWN = [
  MENU,
  '[data-testid="stExpandSidebarButton"]',
  '[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]',
].join(",");
const REMEMBERED_MENU = "stSidebarCollapsed-";
const SAID = '[role="dialog"], [data-testid="stAlert"], [data-testid="stException"], .sl-said[role="alert"]';

const PAINTED_WITHIN_MS = 250; // a page in the background is not painted at all
const PICTURE_WITHIN_MS = 1000; // for so long a hundred other modules do not hold it up
// From Streamlit's first element to our own box and picture, on a slow line; and from its first mark on the page at
// all:
// whatever went wrong is then at least seen.
const OWN_WITHIN_MS = 15_000;
const AT_MOST_MS = 20_000;
const PAUSE_MS = 250; // after so long without a key the picture follows what was typed

// The menu of a narrow screen covers the page: one that was left open is closed at the next load.
try {
  for (const name of Object.keys(localStorage)) if (name.startsWith(REMEMBERED_MENU)) localStorage.removeItem(name);
} catch {} // storage is switched off: then it was not remembered either

const frame = document.getElementById("sl-first");
const root = document.getElementById("root");
const later = /** @type {HTMLTemplateElement | null} */ (document.getElementById("sl-later"));
const data = document.getElementById("sl-first-data");
const box = /** @type {HTMLTextAreaElement | null} */ (document.getElementById("sl-first-text"));
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
  const typed = box && listen(box);
  let drawn = false; // a picture is in the frame
  let boxed = !box; // the page's own text box is there
  let painted = false; // the page's own picture is there
  let gone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let last;
  root.inert = true; // what the frame hides is not to be reached by Tab
  for (const act of ["pointerdown", "keydown"])
    frame.addEventListener(act, () => (frame.dataset.touched = ""), { capture: true });
  const leave = () => {
    if (gone || typed?.composes(leave)) return;
    gone = true;
    observer.disconnect();
    clearTimeout(patience);
    root.inert = false;
    const link = /** @type {HTMLAnchorElement | null} */ (document.activeElement?.closest("#sl-first nav a") ?? null);
    typed?.hand();
    document.dispatchEvent(new Event("sightline:leaves"));
    frame.remove();
    picture?.();
    for (const own of document.querySelectorAll(MENU))
      if (/** @type {HTMLAnchorElement} */ (own).href === link?.href) /** @type {HTMLElement} */ (own).focus();
  };
  const look = () => {
    if (root.childElementCount) last ??= setTimeout(leave, AT_MOST_MS);
    if (document.querySelector(SAID)) return leave();
    if (!document.querySelector(OWN)) return;
    // The page's own box and explorer draw the same a moment later: until then these stay, and no key falls between.
    if (boxed && (!drawn || painted)) leave();
    else patience ??= setTimeout(leave, OWN_WITHIN_MS);
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { childList: true, subtree: true });
  const stay = () => {
    drawn = true;
    frame.querySelector('[role="status"]')?.classList.add("sl-first-unseen");
  };
  document.addEventListener("sightline:first", stay, { once: true });
  document.addEventListener("sightline:painted", () => ((painted = true), look()), { once: true });
  document.addEventListener("sightline:box", () => {
    boxed = true;
    if (gone) typed?.hand();
    else look();
  });
}

/**
 * Keep what is typed into the frame's box until the page's own takes it.
 *
 * @param {HTMLTextAreaElement} box
 */
function listen(box) {
  const text = box.value; // what the page's own box begins with
  let entered = false;
  let taken = false;
  /** @type {object | null} what the box held when its frame was taken away */
  let held = null;
  /** @type {(() => void) | null} A word of several keys is half written: it would be lost with its element. */
  let written = null;
  let composing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  const tell = () => {
    clearTimeout(pause);
    document.dispatchEvent(new CustomEvent("sightline:typed", { detail: { text: box.value } }));
  };
  box.addEventListener("compositionstart", () => (composing = true));
  box.addEventListener("compositionend", () => {
    composing = false;
    setTimeout(() => written?.());
  });
  box.addEventListener("input", () => {
    entered = false;
    clearTimeout(pause);
    pause = setTimeout(tell, PAUSE_MS);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    entered = box.value.trim() !== "";
    tell();
  });
  return {
    /** True while a word is half written; `then` is called when it is there. @param {() => void} then */
    composes(then) {
      written = then;
      return composing;
    },
    /** Give it all to the page's own box, if that is there and has not taken it. */
    hand() {
      clearTimeout(pause);
      const { value, selectionStart: start, selectionEnd: end, selectionDirection: direction } = box;
      const focused = document.activeElement === box;
      held ??= { text: value, edited: value !== text, start, end, direction, focused, entered };
      taken ||= !document.dispatchEvent(new CustomEvent("sightline:hand", { detail: held, cancelable: true }));
    },
  };
}

/**
 * The explorer as the page will show it: the same module with the same numbers.
 *
 * @param {HTMLElement} frame @param {import("./explore/explorer.js").Data} shown
 */
async function draw(frame, shown) {
  const place = document.createElement("div");
  place.className = "sl-first-picture";
  // on its way, or without its numbers, it has nothing to say that the frame does not
  place.style.visibility = "hidden";
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
