/**
 * The binary format in which attention weights reach the browser.
 *
 * A pack is: u32 little-endian length of the header | JSON header | buffers. Weights travel as whole numbers, so that
 * a picture needs one or two bytes a cell; two codes are kept for what is not a number and for what may not be read.
 *
 * Every pack's header and arrays have a type of their own, beside what reads it: `OverviewPack`, `LedgerPack` … A
 * reader says which of them it has asked for; what the server sends is tested there (`attention_core/formats/wire.py`).
 *
 * @typedef {Uint8Array | Uint16Array | Float32Array | Int32Array} Codes
 * @typedef {{name: string, dtype: string, shape: number[], off: number}} Entry  of the header, for each buffer
 */

/**
 * @template {Codes} [Data=Codes]
 * @typedef {{data: Data, shape: number[]}} Buffer
 */

/**
 * @template {object} [Meta=Record<string, unknown>]
 * @template {Record<string, Buffer | undefined>} [Arrays=Record<string, Buffer>]
 * @typedef {{meta: Meta, arrays: Arrays}} Pack
 */

/** Codes of a two-byte picture: weight 0..1 is 0..65533. */
export const U2 = Object.freeze({ top: 65533, nan: 65534, masked: 65535 });
/** Codes of a one-byte picture: weight 0..1 is 0..253. */
export const U1 = Object.freeze({ top: 253, nan: 254, masked: 255 });

/** What `weight()` gives for a cell that may not be read: not a number, and not 0. */
export const MASKED = -1;

/**
 * @type {Record<string, Uint8ArrayConstructor | Uint16ArrayConstructor | Float32ArrayConstructor |
 *   Int32ArrayConstructor>}
 */
const KINDS = { "|u1": Uint8Array, "<u2": Uint16Array, "<f4": Float32Array, "<i4": Int32Array };

/**
 * Split a pack into its header and its arrays (views on the same bytes where alignment allows).
 *
 * @param {Uint8Array} bytes
 * @returns {Pack}
 */
export function unpack(bytes) {
  if (bytes.byteLength < 4) throw new Error(`a pack has at least 4 bytes; this one has ${bytes.byteLength}`);
  if (bytes.byteOffset % 4) bytes = bytes.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 4 + view.getUint32(0, true);
  if (start > bytes.byteLength) throw new Error(`the header ends at byte ${start}, the pack at ${bytes.byteLength}`);
  /** @type {Record<string, unknown> & {bufs?: Entry[]}} */
  const meta = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  /** @type {Record<string, Buffer>} */
  const arrays = {};
  for (const { name, dtype, shape, off } of meta.bufs ?? []) {
    const Kind = KINDS[dtype];
    if (!Kind) throw new Error(`buffer ${name} has the unknown dtype ${dtype}`);
    const length = shape.reduce((a, b) => a * b, 1);
    const from = bytes.byteOffset + start + off;
    if (start + off + length * Kind.BYTES_PER_ELEMENT > bytes.byteLength)
      throw new Error(`buffer ${name} is cut short`);
    const buffer = /** @type {ArrayBuffer} */ (bytes.buffer);
    const aligned = from % Kind.BYTES_PER_ELEMENT === 0;
    const data = aligned
      ? new Kind(buffer, from, length)
      : new Kind(buffer.slice(from, from + length * Kind.BYTES_PER_ELEMENT));
    arrays[name] = { data, shape };
  }
  return { meta, arrays };
}

/** @param {Codes} codes */
export function codesOf(codes) {
  return codes instanceof Uint16Array ? U2 : U1;
}

/**
 * The weight that a code stands for: 0..1, NaN, or MASKED.
 *
 * @param {number} code
 * @param {{top: number, nan: number, masked: number}} kind  U1 or U2
 */
export function weight(code, kind) {
  if (code === kind.masked) return MASKED;
  if (code === kind.nan) return NaN;
  return code / kind.top;
}

/**
 * Weights (NaN = masked, as they come in float32) as two-byte codes.
 *
 * @param {Float32Array} weights
 * @returns {Uint16Array}
 */
export function encodeU2(weights) {
  const codes = new Uint16Array(weights.length);
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i];
    codes[i] = w === w ? Math.round(Math.min(Math.max(w, 0), 1) * U2.top) : U2.masked;
  }
  return codes;
}

/** @param {string} text base64 @returns {Uint8Array} */
export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}
