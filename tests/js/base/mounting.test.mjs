import assert from "node:assert/strict";
import { test } from "node:test";

import { mounting } from "../../../assets/js/base/mounting.js";

class View {
  constructor(root, data) {
    this.root = root;
    this.seen = [];
    root.views.push(this);
    this.made = data;
  }

  update(data, callbacks) {
    this.seen.push(data);
    this.callbacks = callbacks;
  }

  destroy() {
    this.gone = true;
  }
}

const root = () => ({ views: [], isConnected: true });
const component = (parentElement, data, told = []) => ({
  parentElement,
  data,
  setStateValue: (name, value) => told.push(["state", name, value]),
  setTriggerValue: (name, value) => told.push(["trigger", name, value]),
});

test("a second call on the same element updates the view that is there", () => {
  const { mount } = mounting(View);
  const place = root();
  mount(component(place, 1));
  mount(component(place, 2));
  assert.equal(place.views.length, 1);
  assert.equal(place.views[0].made, 1);
  assert.deepEqual(place.views[0].seen, [1, 2]);
});

test("each element has a view of its own, and the same element another one once the first is gone", () => {
  const { render } = mounting(View);
  const [left, right] = [root(), root()];
  const end = render(left, 1);
  render(right, 2);
  end();
  render(left, 3);
  assert.deepEqual([left.views.length, right.views.length], [2, 1]);
  assert.deepEqual(
    left.views.map((view) => Boolean(view.gone)),
    [true, false],
  );
});

test("an end that comes late takes only its own view away", () => {
  const { render } = mounting(View);
  const place = root();
  const end = render(place, 1);
  end();
  render(place, 2);
  end();
  render(place, 3);
  assert.deepEqual(place.views[1].seen, [2, 3]);
});

/**
 * Streamlit's effect around a view: newer data make the earlier ones stale, and what is stale is cleaned up as soon as
 * its mount is there.
 */
function streamlit(place, mount, imported) {
  let clean;
  let outdate = () => {};
  return {
    data(data) {
      outdate();
      let stale = false;
      outdate = () => {
        stale = true;
      };
      imported()
        .then(() => mount(component(place, data)))
        .then((end) => (stale ? end() : (clean = end)));
    },
    unmount: () => clean(),
  };
}

/** A module on its way: each import of it waits for its turn in `arrive`. */
function onItsWay() {
  const arrive = [];
  return { arrive, imported: () => new Promise((resolve) => arrive.push(resolve)) };
}

/** A page of Streamlit's whose modules arrive when told to, in a time that stands still. */
function opened(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const place = root();
  const { arrive, imported } = onItsWay();
  return { place, arrive, page: streamlit(place, mounting(View).mount, imported) };
}

/** Everything that has arrived is mounted. */
async function settled() {
  for (let i = 0; i < 20; i++) await null;
}

test("data that come while the module is on its way do not take the view away", async (context) => {
  const { place, arrive, page } = opened(context);
  page.data(1);
  page.data(2);
  for (const one of arrive) one();
  await settled();
  context.mock.timers.tick(1000);
  assert.deepEqual(
    place.views.map(({ seen, gone }) => [seen, gone]),
    [[[1, 2], undefined]],
  );
});

test(
  "data that follow one another while a view " + "stands do not take it away, and leaving the " + "page does",
  async (context) => {
    const { place, arrive, page } = opened(context);
    page.data(1);
    arrive[0]();
    await settled();
    page.data(2);
    page.data(3);
    for (const one of arrive) {
      one();
      await settled();
    }
    context.mock.timers.tick(1000);
    assert.deepEqual(
      place.views.map(({ seen, gone }) => [seen, gone]),
      [[[1, 2, 3], undefined]],
    );
    place.isConnected = false;
    page.unmount();
    assert.equal(place.views[0].gone, true);
  },
);

test("an element that leaves the page just after its end takes its view along", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { mount } = mounting(View);
  const place = root();
  const end = mount(component(place, 1));
  end();
  place.isConnected = false;
  context.mock.timers.tick(1000);
  assert.equal(place.views[0].gone, true);
});

test("what a view tells goes to Streamlit's component", () => {
  const told = [];
  const { mount } = mounting(View);
  const place = root();
  mount(component(place, 1, told));
  place.views[0].callbacks.setState("view", 5);
  place.views[0].callbacks.setTrigger("lost", "key");
  assert.deepEqual(told, [
    ["state", "view", 5],
    ["trigger", "lost", "key"],
  ]);
});
