/** As much of a page as the views' own code asks of it. Importing this makes `document` and `matchMedia`. */

class Element {
  constructor(tag) {
    this.tagName = tag.toUpperCase();
    this.attributes = {};
    this.children = [];
    this.parentElement = null;
    this.style = { setProperty() {} };
    this.classList = { toggle() {} };
    this.value = "";
    this.listeners = {};
  }

  get dataset() {
    return new Proxy(this.attributes, {
      get: (attributes, name) => attributes[`data-${name}`],
      set: (attributes, name, value) => ((attributes[`data-${name}`] = value), true),
      deleteProperty: (attributes, name) => delete attributes[`data-${name}`],
    });
  }

  get hidden() {
    return "hidden" in this.attributes;
  }

  set hidden(hidden) {
    if (hidden) {
      this.attributes.hidden = "";
      if (this.contains(document.activeElement)) document.activeElement = null; // as a browser does
    } else delete this.attributes.hidden;
  }

  get isConnected() {
    return true;
  }

  get firstChild() {
    return this.children[0] ?? null;
  }

  get options() {
    return this.children;
  }

  get textContent() {
    return this.children.map((child) => (child instanceof Element ? child.textContent : child)).join("");
  }

  set textContent(text) {
    this.replaceChildren(text);
  }

  getRootNode() {
    return document;
  }

  append(...children) {
    for (const child of children) {
      if (child instanceof Element) child.parentElement = this;
      this.children.push(child);
    }
  }

  replaceChildren(...children) {
    // as a browser does
    if (this.contains(document.activeElement) && document.activeElement !== this) document.activeElement = null;
    this.children = [];
    this.append(...children);
  }

  remove() {
    if (!this.parentElement) return;
    this.parentElement.children = this.parentElement.children.filter((child) => child !== this);
    this.parentElement = null;
  }

  contains(element) {
    for (let at = element; at; at = at.parentElement) if (at === this) return true;
    return false;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  removeAttribute(name) {
    delete this.attributes[name];
  }

  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }

  focus() {
    for (let at = this; at; at = at.parentElement) if (at.hidden) return;
    document.activeElement = this;
  }

  /** A canvas takes every stroke and keeps none. */
  getContext() {
    const made = {
      measureText: () => ({ width: 20 }),
      createImageData: (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) }),
    };
    return new Proxy(made, { get: (context, name) => context[name] ?? (() => {}) });
  }

  getBoundingClientRect() {
    return { left: 0, top: 0, width: 500, height: 500 };
  }

  setPointerCapture() {}

  /** Every element under this one for which `wanted` holds, or of this tag. */
  all(wanted) {
    const holds = typeof wanted === "string" ? (element) => element.tagName === wanted.toUpperCase() : wanted;
    return this.children
      .filter((child) => child instanceof Element)
      .flatMap((child) => [...(holds(child) ? [child] : []), ...child.all(holds)]);
  }

  /** By the id that tests use. */
  find(id) {
    return this.all((element) => element.attributes["data-testid"] === id)[0];
  }

  querySelectorAll(tag) {
    return this.all(tag);
  }
}

globalThis.document = {
  createElement: (tag) => new Element(tag),
  addEventListener() {},
  activeElement: null,
  baseURI: "http://here/",
};
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });

export const element = (tag = "div") => new Element(tag);
