/** Where things lie: the app's routes and our own files. Pages other than the first one live below the root. */

/** The app's root, under which its routes lie. */
export function appRoot() {
  return new URL("../../../../", import.meta.url);
}

/** One of our own files. @param {string} path  below assets/ */
export function asset(path) {
  return new URL(`../../${path}`, import.meta.url);
}

/** Where the numbers under a key are served. @param {string} key */
export function dataAddress(key) {
  return new URL(`sightline/data/${encodeURIComponent(key)}/`, appRoot()).href;
}
