import assert from "node:assert/strict";
import { test } from "node:test";

import { MASKED, U1, U2, encodeU2, fromBase64, unpack, weight } from "../../../assets/js/base/wire.js";
import { pack } from "../support/packs.mjs";

test("a pack gives back its header and its arrays with their shapes", () => {
  const bytes = pack(
    { version: 1 },
    { heads: Uint16Array.of(0, 65533, 65535), shape: [1, 3] },
    { small: Uint8Array.of(7, 8, 9, 10, 11) },
  );
  const { meta, arrays } = unpack(bytes);
  assert.equal(meta.version, 1);
  assert.deepEqual([...arrays.heads.data], [0, 65533, 65535]);
  assert.deepEqual(arrays.heads.shape, [1, 3]);
  assert.deepEqual([...arrays.small.data], [7, 8, 9, 10, 11]);
});

test("a pack that starts at an odd address is read all the same", () => {
  const bytes = pack({}, { weights: Float32Array.of(0.25, NaN, 1) });
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  const { data } = unpack(shifted.subarray(1)).arrays.weights;
  assert.equal(data[0], 0.25);
  assert.ok(Number.isNaN(data[1]));
});

test("a pack that is cut short is an error that says where, not a wrong picture", () => {
  const bytes = pack({}, { weights: Float32Array.of(1, 2, 3) });
  assert.throws(() => unpack(bytes.subarray(0, bytes.length - 4)), /weights is cut short/);
  assert.throws(() => unpack(Uint8Array.of(1)), /at least 4 bytes/);
  assert.throws(() => unpack(Uint8Array.of(255, 0, 0, 0)), /header ends/);
});

test("masked is neither zero nor NaN", () => {
  assert.equal(weight(65535, U2), MASKED);
  assert.equal(weight(255, U1), MASKED);
  assert.ok(Number.isNaN(weight(65534, U2)));
  assert.ok(Number.isNaN(weight(254, U1)));
  assert.equal(weight(0, U2), 0);
  assert.equal(weight(65533, U2), 1);
  assert.equal(weight(253, U1), 1);
});

test("two bytes keep a weight right to 8e-6, which is 4 decimals", () => {
  for (const w of [0, 1e-5, 0.1234567, 0.5, 0.99999, 1]) {
    const [code] = encodeU2(Float32Array.of(w));
    assert.ok(Math.abs(weight(code, U2) - w) <= 8e-6, `${w}`);
  }
  assert.equal(encodeU2(Float32Array.of(NaN))[0], U2.masked);
});

test("base64 gives the bytes back", () => {
  assert.deepEqual([...fromBase64(Buffer.from([0, 1, 127, 128, 255]).toString("base64"))], [0, 1, 127, 128, 255]);
});
