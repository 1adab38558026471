import assert from "node:assert/strict";
import test from "node:test";

import { coloured, numbers, sized } from "../../../assets/js/base/figure.js";

/** As plotly's Python writes an array of numbers. */
function encoded(values, dtype) {
  return { dtype, bdata: Buffer.from(values.buffer).toString("base64") };
}

test("a typed array of plotly's is read as it was written, and a plain one stays", () => {
  assert.deepEqual([...numbers(encoded(Float32Array.from([0.5, -2, 3e7]), "f4"))], [0.5, -2, 3e7]);
  assert.ok(Number.isNaN(numbers(encoded(Float32Array.from([NaN]), "f4"))[0]));
  assert.deepEqual([...numbers(encoded(Int32Array.from([0, 70000]), "i4"))], [0, 70000]);
  assert.deepEqual(numbers([1, 2]), [1, 2]);
  assert.throws(() => numbers({ dtype: "c8", bdata: "" }), /c8/);
});

test("only what is a variable and nothing else becomes a colour", () => {
  const figure = {
    data: [
      { line: { color: "var(--g-one)" }, name: "var(--x) of a text", marker: { color: ["var(--c-ink)", "#fff"] } },
    ],
    layout: { width: 3, showlegend: false, title: null },
  };
  const asked = [];
  const found = coloured(figure, (name) => (asked.push(name), `rgb(${asked.length}, 0, 0)`));
  assert.deepEqual(found, {
    data: [
      {
        line: { color: "rgb(1, 0, 0)" },
        name: "var(--x) of a text",
        marker: { color: ["rgb(2, 0, 0)", "#fff"] },
      },
    ],
    layout: { width: 3, showlegend: false, title: null },
  });
  assert.deepEqual(asked, ["--g-one", "--c-ink"]);
  assert.equal(figure.data[0].line.color, "var(--g-one)"); // another theme is resolved from the same figure
});

test("margins and the names of axes grow with the type", () => {
  const layout = { margin: { l: 56, t: 28 }, xaxis: { title: { text: "a", font: { color: "red" } } }, yaxis: {} };
  const found = sized(layout, 18);
  assert.deepEqual(found.margin, { l: 72, t: 36 });
  assert.deepEqual(found.xaxis.title, { text: "a", font: { color: "red", size: 18 } });
  assert.equal(found.yaxis.title.font.size, 18);
});
