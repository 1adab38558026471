/** Packs for tests, written from the format's description and not from the code that reads it. */

const TYPES = new Map([
  [Uint8Array, "|u1"],
  [Uint16Array, "<u2"],
  [Float32Array, "<f4"],
  [Int32Array, "<i4"],
]);

/** @param {object} meta @param {...Record<string, any>} buffers  {name: typed array, shape?: [...]} */
export function pack(meta, ...buffers) {
  let off = 0;
  const parts = [];
  const bufs = buffers.map(({ shape, ...named }) => {
    const [[name, data]] = Object.entries(named);
    const entry = { name, dtype: TYPES.get(data.constructor), shape: shape ?? [data.length], off };
    parts.push({ off, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
    off += Math.ceil(data.byteLength / 4) * 4;
    return entry;
  });
  let header = JSON.stringify({ ...meta, bufs });
  const length = new TextEncoder().encode(header).length;
  header += " ".repeat((4 - (length % 4)) % 4);
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(4 + text.length + off);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  for (const part of parts) out.set(part.bytes, 4 + text.length + part.off);
  return out;
}

/** An encoder of 2 layers with 3 heads, 5 tokens, whole pictures, means and maxima. Weight = code. */
export function smallOverview() {
  const n = 5;
  const tokens = ["[CLS]", "the", "cat", "sat", "[SEP]"].map((t, i) => ({
    t,
    i,
    p: [i],
    s: i === 0 || i === 4 ? 1 : 0,
  }));
  const layer = (/** @type {number} */ index) => ({
    stack: "encoder",
    kind: "self",
    index,
    label: `layer ${index}`,
    queries: "source",
    keys: "source",
    n_heads: 3,
    n_kv_heads: 3,
    offset: index * 3 * n * n,
    rows: n,
    cols: n,
  });
  const aggregates = [];
  let offset = 0;
  for (const name of [0, 1, "all:encoder:self"]) {
    for (const head of ["mean", "max"]) {
      aggregates.push({ layer: name, head, rows: 3, cols: 3, offset });
      offset += 9;
    }
  }
  const meta = {
    version: 1,
    note: [],
    full: true,
    tokens: { source: tokens, target: [] },
    layers: [layer(0), layer(1)],
    aggregates,
    summary: {
      entropy: [
        [0, 1, 2],
        [3, 4, 5],
      ],
      reach: [
        [0, 1, 2],
        [3, 4, 5],
      ],
      peak: [
        [0, 0.1, 0.2],
        [0.3, 0.4, 0.5],
      ],
    },
  };
  const heads = Uint16Array.from({ length: 2 * 3 * n * n }, (_, i) => i);
  return {
    meta,
    arrays: {
      heads: { data: heads, shape: [heads.length] },
      aggregates: { data: Uint8Array.from({ length: offset }, (_, i) => i), shape: [offset] },
    },
  };
}
