/**
 * Where packs come from: the server's data routes, or the page itself (a standalone file). Both have the same methods,
 * so that no picture knows the difference.
 *
 * @typedef {import("./wire.js").Pack} Pack
 * @typedef {import("../picture/packs").OverviewPack} OverviewPack
 * @typedef {import("../picture/packs").HeadPack} HeadPack
 * @typedef {import("../picture/packs").LinePack} LinePack
 * @typedef {import("../picture/packs").TilePack} TilePack
 */
import { fromBase64, unpack } from "./wire.js";

/** The server no longer has this text's numbers; Python is asked to make them again. */
export class LostError extends Error {}

export class HttpSource {
  /**
   * @param {string | URL} base  ends with "/"
   * @param {{fetch?: typeof fetch, onLost?: () => void, limit?: number}} [settings]  limit: bytes kept
   */
  constructor(base, { fetch: get = (...args) => fetch(...args), onLost = () => {}, limit = 96e6 } = {}) {
    this.base = String(base);
    this.get = get;
    this.onLost = onLost;
    this.limit = limit;
    /** True from a 410 until the next answer, or until Python or the reader has done something about it. */
    this.lost = false;
    this.bytes = 0;
    /** @type {Map<string, {pack: Pack, size: number}>} least recently used first */
    this.kept = new Map();
    /** @type {Map<string, Promise<Pack>>} */
    this.waiting = new Map();
  }

  /** @returns {Promise<OverviewPack>} */
  overview() {
    return this.pack("overview");
  }

  /** @param {number | string} layer @param {number | string} head @returns {Promise<HeadPack>} */
  head(layer, head) {
    return this.pack(`head/${part(layer)}/${part(head)}`);
  }

  /**
   * @param {number | string} layer
   * @param {number | string} head
   * @param {"query" | "key"} axis
   * @param {number} index
   * @returns {Promise<LinePack>}
   */
  line(layer, head, axis, index) {
    return this.pack(`line/${part(layer)}/${part(head)}/${axis}/${index}`);
  }

  /**
   * @param {number | string} layer
   * @param {number | string} head
   * @param {number} row0
   * @param {number} col0
   * @returns {Promise<TilePack>}
   */
  tile(layer, head, row0, col0) {
    return this.pack(`tile/${part(layer)}/${part(head)}/${row0}/${col0}`);
  }

  /** One of the files to keep, as a blob. @param {string} path */
  async file(path) {
    return (await this.answer(`export/${path}`)).blob();
  }

  /**
   * The pack of this path, of the type that the server has for it.
   *
   * @template {object} P
   * @param {string} path @returns {Promise<P>}
   */
  pack(path) {
    return /** @type {Promise<P>} */ (this.fetched(path));
  }

  /** @param {string} path @returns {Promise<Pack>} */
  fetched(path) {
    const kept = this.kept.get(path);
    if (kept) {
      this.kept.delete(path);
      this.kept.set(path, kept);
      return Promise.resolve(kept.pack);
    }
    const waiting = this.waiting.get(path);
    if (waiting) return waiting;
    const answer = this.answer(path)
      .then((response) => response.arrayBuffer())
      .then((buffer) => {
        const pack = unpack(new Uint8Array(buffer));
        this.keep(path, pack, buffer.byteLength);
        return pack;
      })
      .finally(() => this.waiting.delete(path));
    this.waiting.set(path, answer);
    return answer;
  }

  /** @param {string} path @param {Pack} pack @param {number} size */
  keep(path, pack, size) {
    this.kept.set(path, { pack, size });
    this.bytes += size;
    for (const [old, { size: freed }] of this.kept) {
      if (this.bytes <= this.limit || old === path) break;
      this.kept.delete(old);
      this.bytes -= freed;
    }
  }

  /** @param {string} path @returns {Promise<Response>} */
  async answer(path) {
    let response;
    try {
      response = await this.get(new URL(path, this.base).href);
    } catch {
      throw new Error("The server did not answer. Check the connection, then try again.");
    }
    if (response.status === 410) {
      if (!this.lost) this.onLost();
      this.lost = true;
      throw new LostError("These numbers are no longer in the server's memory; they are being computed again.");
    }
    if (!response.ok) {
      const said = await response.json().catch(() => null);
      throw new Error(
        said?.error ? String(said.error) : `The server could not give this picture (status ${response.status}).`,
      );
    }
    this.lost = false; // when they are lost once more, Python is asked once more
    return response;
  }
}

/** @type {HttpSource | null} */
let latest = null;

/**
 * The source of these numbers; the one that was asked for last, if it is of the same: the first frame's explorer and
 * the page's own fetch once.
 *
 * @param {string} base @param {() => void} onLost
 */
export function sourceAt(base, onLost) {
  if (latest?.base !== base || latest.lost) latest = new HttpSource(base);
  latest.onLost = onLost;
  return latest;
}

/** Packs carried by the page, as base64 by path: {"overview": "…", "head/2/3": "…"}. What is not carried is null. */
export class InlineSource {
  /** @param {Record<string, string>} packs */
  constructor(packs) {
    this.packs = packs;
    /** @type {Map<string, Pack>} */
    this.opened = new Map();
    /** A standalone page has no files to give. @type {((path: string) => Promise<Blob>) | null} */
    this.file = null;
  }

  async overview() {
    const pack = /** @type {OverviewPack | null} */ (this.peek("overview"));
    if (!pack) throw new Error("This page carries no picture.");
    return pack;
  }

  /** @param {number | string} layer @param {number | string} head */
  async head(layer, head) {
    return /** @type {HeadPack | null} */ (this.peek(`head/${part(layer)}/${part(head)}`));
  }

  /**
   * @param {number | string} layer
   * @param {number | string} head
   * @param {"query" | "key"} axis
   * @param {number} index
   */
  async line(layer, head, axis, index) {
    return /** @type {LinePack | null} */ (this.peek(`line/${part(layer)}/${part(head)}/${axis}/${index}`));
  }

  /** @param {number | string} layer @param {number | string} head @param {number} row0 @param {number} col0 */
  async tile(layer, head, row0, col0) {
    return /** @type {TilePack | null} */ (this.peek(`tile/${part(layer)}/${part(head)}/${row0}/${col0}`));
  }

  /** @param {string} path @returns {Pack | null} */
  peek(path) {
    const opened = this.opened.get(path);
    if (opened) return opened;
    if (!Object.hasOwn(this.packs, path)) return null;
    const pack = unpack(fromBase64(this.packs[path]));
    this.opened.set(path, pack);
    return pack;
  }
}

/** A path segment; a colon stays readable. @param {number | string} value */
function part(value) {
  return encodeURIComponent(String(value)).replaceAll("%3A", ":");
}
