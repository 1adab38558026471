import assert from "node:assert/strict";
import { test } from "node:test";

import { popover } from "../../../assets/js/base/popover.js";
import { createPanel } from "../../../assets/js/heads/panel.js";
import { render } from "../../../assets/js/explore/says.js";
import { createToolbar } from "../../../assets/js/explore/toolbar.js";
import { element } from "../support/elements.mjs";

const focused = () => document.activeElement;

test("a menu that closes around the focused item gives the focus to its button, and takes it from nowhere else", () => {
  const [button, panel, item, other] = ["button", "div", "button", "button"].map(element);
  panel.append(item);
  const close = popover(button, panel, new AbortController().signal);
  item.focus();
  close();
  assert.equal(focused(), button);
  button.onclick();
  other.focus();
  close();
  assert.ok(panel.hidden);
  assert.equal(focused(), other);
});

test("a token that was chosen leaves the focus where it was, among the tokens that come then", () => {
  const root = element();
  const data = (...names) => ({
    act: "add",
    d_vocab: 9,
    similarity: null,
    groups: [{ title: "", place: "", which: 0, entropy: 1, choices: names.map((t, id) => ({ id, t, p: 0.25 })) }],
  });
  const choose = () => {};
  render(root, data("a", "b", "c"), { choose });
  root.all("button")[1].focus();
  render(root, data("d", "e", "f"), { choose });
  assert.match(focused().textContent, /^e/);
  render(root, data("g"), { choose });
  assert.match(focused().textContent, /^g/);
  document.activeElement = null;
  render(root, data("h", "i"), { choose });
  assert.equal(focused(), null);
});

test("a file on its way keeps the focus on its button, which does nothing a second time", () => {
  let links = 0;
  const app = { sync: { link: () => ((links += 1), new Promise(() => {})) }, popover: () => () => {} };
  const copy = createToolbar(app).element.find("sl-copy");
  copy.focus();
  copy.onclick();
  copy.onclick();
  assert.equal(links, 1);
  assert.ok(!copy.disabled);
  assert.equal(copy.getAttribute("aria-disabled"), "true");
});

test("a head chosen among those alike leaves the focus in that list, and on the title while it is made", () => {
  const heads = {
    places: Array.from({ length: 5 }, (_, i) => ({ i, layer: 0, head: i, name: `0.${i}` })),
    choices: [],
    label: () => null,
    titleOf: (i) => `Head ${i}`,
  };
  const alike = (of, ...found) => ({ of, says: "", heads: found.map((i) => ({ i, distance: i })) });
  const app = {
    heads,
    selected: 0,
    alike: alike(0, 1, 2, 3),
    overview: null,
    shownKey: "key",
    address: () => "",
    tip: { on() {} },
  };
  const panel = createPanel(app);
  const list = panel.element.find("sl-heads-like");
  const title = panel.element.find("sl-heads-title");
  panel.draw();
  list.all("button")[2].focus();
  panel.draw(); // something else has come
  assert.equal(focused(), list.all("button")[2]);
  app.selected = 3;
  panel.draw();
  assert.equal(focused(), title);
  app.alike = alike(3, 0, 4);
  panel.draw();
  assert.equal(focused(), list.all("button")[1]);
  document.activeElement = null;
  app.selected = 1;
  panel.draw();
  app.alike = alike(1, 0);
  panel.draw();
  assert.equal(focused(), null);
});
