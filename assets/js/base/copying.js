/** The link to a view, handed over: copied, or shown to be copied by hand. */
import { h } from "./dom.js";

/** Where a link is shown that could not be copied. */
export function createAddress() {
  const address = h("input", {
    type: "text",
    readonly: true,
    class: "sl-address",
    "aria-label": "Link to this view",
    hidden: true,
    onfocus: () => address.select(),
  });
  return address;
}

/**
 * True if the link is in the clipboard. Browsers keep that from pages without https: then the link stands in `address`.
 *
 * @param {string} url @param {HTMLInputElement} address
 */
export async function copied(url, address) {
  try {
    await navigator.clipboard.writeText(url);
    return true;
  } catch {
    address.value = url;
    address.hidden = false;
    address.focus();
    return false;
  }
}
