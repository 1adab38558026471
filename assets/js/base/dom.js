/**
 * Small helpers for elements. Text from outside enters as text, never as markup.
 *
 * @typedef {string | number | boolean | null | undefined} Value of an attribute; null, undefined and false: it is not
 *   there
 * @typedef {{[name: string]: Value | Function} & Partial<GlobalEventHandlers>} Attributes
 *   class, data-…, aria-… as attributes; onclick and the like as properties
 */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child || child === "") element.append(child);
  return element;
}

/**
 * Set text only when it differs: no work for the browser, no noise for a screen reader.
 * @param {Node} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Set or remove an attribute, only when it differs.
 * @param {Element} element
 * @param {string} name
 * @param {string | boolean | null} value
 */
export function mark(element, name, value) {
  const wanted = value === true ? "true" : value === false ? null : value;
  if (element.getAttribute(name) === wanted) return;
  if (wanted === null) element.removeAttribute(name);
  else element.setAttribute(name, wanted);
}

/** What has the focus, where this element is. @param {Node} element @returns {Element | null} */
export function focusedBy(element) {
  return /** @type {Document | ShadowRoot} */ (element.getRootNode()).activeElement;
}

/** Which of the buttons in an element has the focus; -1 if none has. @param {Element} element */
export function focusedAt(element) {
  const focused = focusedBy(element);
  return [...element.querySelectorAll("button")].findIndex((button) => button === focused);
}

/**
 * Focus the button that stands there now, or the last one if there are fewer; -1: none.
 * @param {Element} element
 * @param {number} at
 */
export function focusAt(element, at) {
  const buttons = element.querySelectorAll("button");
  if (at >= 0) buttons[Math.min(at, buttons.length - 1)]?.focus({ preventScroll: true });
}

/** Put other children, and keep the focus where it stood. @param {Element} element @param {...Node} children */
export function exchange(element, ...children) {
  const at = focusedAt(element);
  element.replaceChildren(...children);
  focusAt(element, at);
}

/**
 * Call once things have been quiet for a while.
 *
 * @template {unknown[]} A
 * @param {number} ms @param {(...args: A) => void} call
 */
export function settle(ms, call) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {A | undefined} */
  let last;
  const run = () => {
    timer = undefined;
    call(.../** @type {A} */ (last));
  };
  const later = (/** @type {A} */ ...args) => {
    last = args;
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
  later.cancel = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  /** True if a call is waiting. */
  later.waiting = () => timer !== undefined;
  /** Call now if a call is waiting. */
  later.flush = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    run();
  };
  return later;
}

/** True while somebody writes: single-key shortcuts then stay away. @param {Event} event */
export function typing(event) {
  const target = /** @type {Partial<HTMLInputElement> | null} */ (event.composedPath?.()[0] ?? event.target);
  if (!target?.tagName) return false;
  if (target.isContentEditable) return true;
  if (target.tagName === "INPUT")
    return !["checkbox", "radio", "button", "submit", "range"].includes(target.type ?? "");
  return target.tagName === "TEXTAREA" || target.tagName === "SELECT";
}

/**
 * Call `then` whenever an element has another width: heights are its own doing.
 * @param {HTMLElement} element
 * @param {() => void} then
 * @returns {() => void} no more
 */
export function onWidth(element, then) {
  let width = 0;
  const watching = new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    then();
  });
  watching.observe(element);
  return () => watching.disconnect();
}
