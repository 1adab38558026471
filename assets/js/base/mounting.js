/**
 * How a view comes into the page and leaves it.
 *
 * Streamlit calls a component again on the same element whenever its data or the theme change: the view is made at the
 * first call, updated at every one, and goes with the element. When data come quickly, Streamlit also ends the mount of
 * older data while newer stand: only an element that is gone has ended.
 *
 * @typedef {ShadowRoot | HTMLElement} Root
 *
 * @typedef {object} Callbacks
 * @property {(name: string, value: unknown) => void} [setState]
 * @property {(name: string, value: unknown) => void} [setTrigger]
 */

/**
 * What Streamlit hands over.
 *
 * @template Data
 * @typedef {object} Component
 * @property {Data} data
 * @property {string} [key]
 * @property {Root} parentElement
 * @property {(name: string, value: unknown) => void} setStateValue
 * @property {(name: string, value: unknown) => void} setTriggerValue
 */

/** How long after an end its element is looked at again, if it is still in the page, ms. */
const GONE = 100;

/**
 * A clean-up for Streamlit that ends a view only if its element has gone.
 * @param {Root} root
 * @param {() => void} end
 */
export function afterItsElement(root, end) {
  const endIfGone = () => !root.isConnected && end();
  return () => {
    if (root.isConnected) setTimeout(endIfGone, GONE);
    else end();
  };
}

/**
 * `render` draws a view in any page and gives back what takes it away again; `mount` is what Streamlit calls.
 *
 * @template Data
 * @template {{update(data: Data, callbacks: Callbacks): void, destroy(): void}} View
 * @param {new (root: Root, data: Data) => View} Kind
 */
export function mounting(Kind) {
  /** @type {WeakMap<Root, View>} */
  const views = new WeakMap();

  /** @param {Root} root @param {Data} data @param {Callbacks} [callbacks] @returns {() => void} */
  function render(root, data, callbacks = {}) {
    const view = views.get(root) ?? new Kind(root, data);
    views.set(root, view);
    view.update(data, callbacks);
    return () => {
      if (views.get(root) !== view) return; // ended already: several mounts may share a view
      views.delete(root);
      view.destroy();
    };
  }

  /** @param {Component<Data>} component @returns {() => void} */
  function mount(component) {
    const root = component.parentElement;
    const end = render(root, component.data, {
      setState: (name, value) => component.setStateValue(name, value),
      setTrigger: (name, value) => component.setTriggerValue(name, value),
    });
    return afterItsElement(root, end);
  }

  return { render, mount };
}
