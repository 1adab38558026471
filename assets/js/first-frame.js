// Runs before Streamlit's front end: says where the server is, lets the front end come once the first frame has been
// painted, and takes the frame away when Streamlit has drawn its own or has something to say that the frame would hide.

// Without this Streamlit looks for its server below the page's own address first, and finds it after two answers of 404.
window.__streamlit = { BACKEND_BASE_URL: new URL('.', document.baseURI).href }

const OWN = [
  '[data-testid="stTopNavLink"]',
  '[data-testid="stExpandSidebarButton"]',
  '[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]',
  '[role="dialog"]',
].join(',')
const AT_MOST_MS = 20_000 // whatever went wrong is then at least seen

const PAINTED_WITHIN_MS = 250 // a page in the background is not painted at all

const later = document.getElementById('sl-later')

if (later) {
  let begun = false
  const begin = () => {
    if (begun) return
    begun = true
    document.head.append(later.content)
  }
  requestAnimationFrame(() => setTimeout(begin))
  setTimeout(begin, PAINTED_WITHIN_MS)
}

const frame = document.getElementById('sl-first')
const root = document.getElementById('root')

if (frame && root) {
  const leave = () => {
    observer.disconnect()
    frame.remove()
  }
  const observer = new MutationObserver(() => {
    if (document.querySelector(OWN)) leave()
  })
  observer.observe(document.body, { childList: true, subtree: true })
  setTimeout(leave, AT_MOST_MS)
}
