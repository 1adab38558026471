import assert from "node:assert/strict";
import { test } from "node:test";

import { createAwaiting } from "../../../assets/js/base/awaiting.js";
import { copied, createAddress } from "../../../assets/js/base/copying.js";
import { createTokens } from "../../../assets/js/heads/tokens.js";
import { createShell } from "../../../assets/js/base/shell.js";
import { View } from "../../../assets/js/base/view.js";
import { element } from "../support/elements.mjs";

/** A view of one number, with what Python hears of it. */
function one() {
  class One extends View {
    chosen = 1;
    drawn = 0;

    choice() {
      return { chosen: this.chosen };
    }

    draw() {
      this.drawn += 1;
    }
  }
  const heard = [];
  const view = new One(element("div"), {});
  view.frame = { host: element("div"), remove() {} };
  view.callbacks = {
    setState: (name, value) => heard.push([name, value]),
    setTrigger: (name, value) => heard.push([name, value]),
  };
  return { view, heard };
}

test("Python hears a choice once it has settled, and once", async () => {
  const { view, heard } = one();
  view.report();
  view.chosen = 2;
  view.report();
  assert.deepEqual(heard, []);
  view.report.flush();
  view.sendNow();
  assert.deepEqual(heard, [["view", { chosen: 2 }]]);
});

test("a choice that came from Python is not told back, and one that waits travels with the change of page", () => {
  const { view, heard } = one();
  view.agree();
  view.sendNow();
  assert.deepEqual(heard, []);
  view.chosen = 3;
  view.report();
  view.leave("steps");
  view.report.flush();
  assert.equal(heard.length, 1);
  const [[name, { page, view: choice }]] = heard;
  assert.deepEqual([name, page, choice], ["leave", "steps", { chosen: 3 }]);
});

/** A click on a link of Streamlit's menu. */
function click(href, more = {}) {
  const done = [];
  const link = { href };
  return {
    done,
    button: 0,
    target: { closest: (selector) => (selector.includes("stTopNavLink") ? link : null) },
    preventDefault: () => done.push("prevented"),
    stopPropagation: () => done.push("stopped"),
    ...more,
  };
}

test("a click on the menu takes along what was chosen just before, and is Streamlit's own otherwise", () => {
  globalThis.document.baseURI ??= "http://here/class/";
  const { view, heard } = one();
  view.frame = { host: { isConnected: true } };
  view.agree();
  const quiet = click("http://here/class/steps");
  view.onMenu(quiet);
  assert.deepEqual([quiet.done, heard], [[], []]);

  view.chosen = 4;
  view.report();
  const tab = click("http://here/class/steps", { ctrlKey: true });
  view.onMenu(tab);
  assert.deepEqual([tab.done, heard], [[], []]);
  const hurried = click("http://here/class/");
  view.onMenu(hurried);
  assert.deepEqual(hurried.done, ["prevented", "stopped"]);
  assert.deepEqual([heard[0][1].page, heard[0][1].view], ["", { chosen: 4 }]);

  const other = one();
  other.view.frame = { host: { isConnected: true } };
  other.view.chosen = 5;
  other.view.sendNow(); // told, but a busy server may not have taken it
  other.view.onMenu(click("http://here/class/heads"));
  assert.deepEqual(other.heard[1][1].view, { chosen: 5 });
});

test("a view is seen when its style sheet is there, and never once it has gone", async () => {
  const [{ view }, { view: gone }] = [one(), one()];
  const seen = [];
  const sheets = [view, gone].map((each) => {
    each.frame = createShell(each.root, { sheet: "one.css", name: "sl-one" });
    assert.match(each.frame.host.attributes.style, /hidden/);
    each.whenStyled(() => seen.push(each));
    return each.root.all("link")[0];
  });
  gone.destroy();
  assert.deepEqual([view.root.children.length, gone.root.children.length], [2, 0]);
  for (const sheet of sheets) sheet.onload();
  await Promise.all([view.frame.styled, gone.frame.styled]);
  assert.deepEqual(seen, [view]);
  assert.equal(view.frame.host.style.visibility, "");
});

test("a key is a shortcut if it is pressed alone, by nobody who writes", () => {
  const { view } = one();
  const press = (more) => view.hears({ key: "x", composedPath: () => [{ tagName: "DIV" }], ...more });
  assert.ok(press({}));
  for (const more of [
    { ctrlKey: true },
    { metaKey: true },
    { altKey: true },
    { defaultPrevented: true },
    { composedPath: () => [{ tagName: "TEXTAREA" }] },
  ])
    assert.ok(!press(more));
});

test(
  "what is waited for is there with the data that " + "bring it, and is waited for no longer than is " + "bearable",
  async () => {
    const awaiting = createAwaiting();
    let here = false;
    const come = awaiting.until(() => here, 60_000);
    awaiting.arrived();
    here = true;
    awaiting.arrived();
    await come;
    await awaiting.until(() => false, 1);
  },
);

test("a link that the browser does not let into the clipboard is shown, to be copied by hand", async () => {
  const address = Object.assign(createAddress(), { focus() {} });
  const had = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const clipboard = (writeText) =>
    Object.defineProperty(globalThis, "navigator", { value: { clipboard: { writeText } }, configurable: true });
  const written = [];
  try {
    clipboard(async (text) => written.push(text));
    assert.ok(await copied("http://here/?a", address));
    assert.deepEqual([written, address.hidden], [["http://here/?a"], true]);
    clipboard(async () => {
      throw new Error("not without https");
    });
    assert.ok(!(await copied("http://here/?b", address)));
    assert.deepEqual([address.value, address.hidden], ["http://here/?b", false]);
  } finally {
    if (had) Object.defineProperty(globalThis, "navigator", had);
  }
});

test("one token of a line is reached by Tab, the others from it by the arrow keys", () => {
  const chosen = [];
  const tokens = createTokens("Tokens", (at) => chosen.push(at));
  tokens.show(
    [
      { t: "the", w: 0 },
      { t: "cat", w: 1 },
      { t: "s", w: 1 },
    ].map((word) => ({ ...word, word: "", s: 0 })),
    1,
  );
  const { buttons } = tokens;
  assert.deepEqual(
    buttons.map((button) => button.attributes.tabindex),
    ["-1", "0", "-1"],
  );
  assert.match(buttons[2].attributes.class, /sl-join/);
  const focused = [];
  buttons.forEach((button, i) => {
    button.focus = () => focused.push(i);
  });
  const press = (target, key) => tokens.element.onkeydown({ target, key, preventDefault() {} });
  press(buttons[1], "ArrowRight");
  press(buttons[2], "ArrowRight");
  press(buttons[2], "Home");
  press(buttons[0], "x");
  assert.deepEqual(focused, [2, 2, 0]);
  assert.deepEqual(
    buttons.map((button) => button.tabIndex),
    [0, -1, -1],
  );
  tokens.element.onclick({ target: { closest: () => buttons[2] } });
  assert.deepEqual(chosen, [2]);
});
