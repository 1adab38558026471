import assert from "node:assert/strict";
import { test } from "node:test";

import { mounting } from "../../assets/js/mounting.js";

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

const root = () => ({ views: [] });
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
  assert.deepEqual(left.views.map((view) => Boolean(view.gone)), [true, false]);
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

test("what a view tells goes to Streamlit's component", () => {
  const told = [];
  const { mount } = mounting(View);
  const place = root();
  mount(component(place, 1, told));
  place.views[0].callbacks.setState("view", 5);
  place.views[0].callbacks.setTrigger("lost", "key");
  assert.deepEqual(told, [["state", "view", 5], ["trigger", "lost", "key"]]);
});
