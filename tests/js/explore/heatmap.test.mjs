import assert from "node:assert/strict";
import { test } from "node:test";

import { createHeatmap } from "../../../assets/js/explore/heatmap.js";
import { Matrix } from "../../../assets/js/picture/matrix.js";
import "../support/elements.mjs";

const N = 40;
const GREY = [1, 1, 1];

/** The map of one head, zoomed in twice, and its stage with what the pointer does to it. */
function zoomedMap() {
  const tokens = Array.from({ length: N }, (_, i) => ({ t: `t${i}`, i, p: [i], s: 0 }));
  const theme = new Proxy(
    { size: 14, mono: "m", ui: "u", ramp: Array(9).fill(GREY) },
    { get: (known, name) => known[name] ?? GREY },
  );
  const pins = [];
  const app = {
    matrix: new Matrix({
      nQuery: N,
      nKey: N,
      codes: new Uint16Array(N * N),
      rows: N,
      cols: N,
      quality: "exact",
      meta: {},
    }),
    theme,
    overview: { borders: () => ({ query: null, key: null }), title: () => "one head", note: [] },
    options: {},
    queries: tokens,
    keys: tokens,
    selection: { layer: 0, head: 0, pin: null, hover: null },
    masks: false,
    source: null,
    heatmapHeight: () => 400,
    hiding: () => ({}),
    dispatch: (action) => action.type === "pin" && pins.push(action),
  };
  globalThis.window = { devicePixelRatio: 1 };
  globalThis.devicePixelRatio = 1;
  const map = createHeatmap(app);
  map.draw(3);
  const stage = map.element.find("sl-heatmap");
  const point = (type, x, y, buttons) =>
    stage[`on${type}`]({ type, pointerId: 1, pointerType: "mouse", button: 0, buttons, clientX: x, clientY: y });
  const where = () => map.element.all((one) => one.attributes.class === "sl-caption sl-small")[0].textContent;
  return { map, point, where, pins };
}

test("a press that is let go outside of the map drags nothing when the pointer comes back", () => {
  const { map, point, where } = zoomedMap();
  point("pointerdown", 200, 200, 1);
  point("pointermove", 260, 200, 1);
  point("pointerleave", 600, 200, 1);
  map.key("+");
  map.key("+");
  const before = where();
  assert.match(before, /queries 15–24/);
  point("pointermove", 300, 300, 0);
  assert.equal(where(), before);
});

test("a press that the browser takes for itself drags nothing afterwards", () => {
  const { map, point, where } = zoomedMap();
  map.key("+");
  point("pointerdown", 200, 200, 1);
  point("pointercancel", 200, 200, 0);
  const before = where();
  point("pointermove", 300, 300, 1); // a finger that was put down elsewhere
  assert.equal(where(), before);
});

test("a drag pans the map and its end pins no cell; a click pins one", () => {
  const { map, point, where, pins } = zoomedMap();
  map.key("+");
  const before = where();
  point("pointerdown", 200, 200, 1);
  point("pointermove", 200, 260, 1);
  assert.notEqual(where(), before);
  point("pointerup", 200, 260, 0);
  point("click", 200, 260, 0);
  assert.equal(pins.length, 0);
  point("pointerdown", 200, 200, 1);
  point("pointerup", 200, 200, 0);
  point("click", 200, 200, 0);
  assert.equal(pins.length, 1);
});
