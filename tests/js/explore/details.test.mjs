import assert from "node:assert/strict";
import { test } from "node:test";

import { howMany } from "../../../assets/js/explore/details.js";

test("what the bars leave out is counted in words that agree with the number", () => {
  assert.equal(howMany(1, "query"), "1 token");
  assert.equal(howMany(4096, "query"), "4,096 tokens");
  assert.equal(howMany(1, "key"), "1 query");
  assert.equal(howMany(3, "key"), "3 queries");
});
