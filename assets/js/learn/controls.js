/**
 * A question as a control: one for each kind. Every one works with the keyboard alone.
 *
 * @typedef {import("./told.d.ts").Question} Question
 * @typedef {import("./told.d.ts").Answer} Answer
 * @typedef {(answer: Answer) => void} Give
 * @typedef {{element: HTMLElement, problem?: () => string}} Control
 */
import { h, say } from "../base/dom.js";

/** @param {Question} question @param {Give} give @returns {HTMLElement} */
export function createControl(question, give) {
  return CONTROLS[question.kind](question, give);
}

/** @type {Record<import("./told.d.ts").Kind, (question: Question, give: Give) => HTMLElement>} */
const CONTROLS = { point, sketch, number, order, which, "find-head": findHead };

/** The sentence's words as buttons; one press answers. @param {Question} question @param {Give} give */
function point({ words, among, query, asks }, give) {
  const can = new Set(among);
  const row = h("div", { class: "sl-learn-words", role: "group", "aria-label": asks });
  words.forEach((word, i) => {
    const looks = i === query;
    const name = looks ? `${word} (the word that looks)` : null;
    const shown = h("bdi", null, word);
    if (can.has(i)) {
      const look = { type: "button", "data-looks": looks || null, "aria-label": name };
      row.append(h("button", { ...look, onclick: () => give(i) }, shown));
    } else row.append(h("span", { class: "sl-second", "data-looks": looks || null }, shown));
  });
  row.onkeydown = (event) => walk(event, [...row.querySelectorAll("button")]);
  return row;
}

/** Arrow keys go from one button to the next. @param {KeyboardEvent} event @param {HTMLButtonElement[]} buttons */
function walk(event, buttons) {
  const at = buttons.findIndex((button) => button === event.composedPath()[0]);
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (at < 0 || !by || event.ctrlKey || event.metaKey || event.altKey) return;
  buttons[Math.min(Math.max(at + by, 0), buttons.length - 1)].focus();
  event.preventDefault();
}

/** Two buttons. @param {Question} question @param {Give} give */
function which({ words, asks }, give) {
  return h(
    "div",
    { class: "sl-learn-choices", role: "group", "aria-label": asks },
    ...words.map((word) => h("button", { type: "button", onclick: () => give(word) }, h("bdi", null, word))),
  );
}

/** A bar for each word; their shares are what counts. @param {Question} question @param {Give} give */
function sketch({ words, among }, give) {
  /** @type {HTMLInputElement[]} */
  const bars = [];
  /** @type {HTMLElement[]} */
  const shares = [];
  const rows = among.map((place, i) => {
    const bar = h("input", {
      type: "range",
      min: 0,
      max: 100,
      step: 1,
      value: 0,
      "aria-label": `${words[place]}, word ${i + 1} of ${among.length}`,
      oninput: () => retell(),
    });
    bars.push(bar);
    shares.push(h("span", { class: "sl-number", "aria-hidden": "true" }));
    return h("div", { class: "sl-learn-bar" }, h("bdi", null, words[place]), bar, shares[i]);
  });
  const problem = h("p", { class: "sl-learn-problem", role: "alert" });
  const retell = () => {
    const sum = total(bars);
    bars.forEach((bar, i) => {
      const share = sum ? Number(bar.value) / sum : 0;
      say(shares[i], `${Math.round(100 * share)} %`);
      bar.setAttribute("aria-valuetext", `${Math.round(100 * share)} percent of the row`);
    });
    say(problem, "");
  };
  retell();
  return form(
    () => {
      if (!total(bars)) say(problem, "Set at least one bar above 0.");
      else give(bars.map((bar) => Number(bar.value)));
    },
    h("div", { class: "sl-learn-bars" }, ...rows),
    problem,
  );
}

/** @param {HTMLInputElement[]} bars */
const total = (bars) => bars.reduce((sum, bar) => sum + Number(bar.value), 0);

/** A field. @param {Question} question @param {Give} give */
function number({ asks }, give) {
  return field(asks, "decimal", (typed) => {
    // “0,03” and “−3” are numbers as people type them
    const value = Number(typed.replace(",", ".").replace("−", "-"));
    if (!typed || !Number.isFinite(value)) return "Type a number, as 1.25 or -0.5.";
    give(value);
    return "";
  });
}

/** A field for layer.head. @param {Question} question @param {Give} give */
function findHead({ asks, words }, give) {
  return field(asks, "decimal", (typed) => {
    const name = typed.replace(",", ".");
    if (!words.includes(name)) return `Type a head as layer.head, from ${words[0]} to ${words[words.length - 1]}.`;
    give(name);
    return "";
  });
}

/** @param {string} label @param {string} mode @param {(typed: string) => string} take  a sentence if it is none */
function field(label, mode, take) {
  const problem = h("p", { class: "sl-learn-problem", role: "alert" });
  const input = h("input", { type: "text", inputmode: mode, "aria-label": label, autocomplete: "off", size: 8 });
  return form(() => say(problem, take(input.value.trim())), input, problem);
}

/** Names that go up and down. @param {Question} question @param {Give} give */
function order({ words, asks }, give) {
  const names = [...words];
  const list = h("ol", { class: "sl-learn-order", "aria-label": asks });
  const said = h("p", { class: "sl-quiet", role: "status" });
  /** @param {number} from @param {number} to */
  const move = (from, to) => {
    [names[from], names[to]] = [names[to], names[from]];
    draw();
    const buttons = list.children[to].querySelectorAll("button");
    const same = buttons[to > from ? 1 : 0];
    (same.getAttribute("aria-disabled") ? buttons[to > from ? 0 : 1] : same).focus();
    say(said, `${names[to]} is now number ${to + 1} of ${names.length}.`);
  };
  const draw = () =>
    list.replaceChildren(
      ...names.map((name, i) => h("li", null, h("bdi", null, name), step(name, i, -1), step(name, i, 1))),
    );
  /** @param {string} name @param {number} i @param {number} by */
  const step = (name, i, by) => {
    const can = i + by >= 0 && i + by < names.length;
    return h(
      "button",
      {
        type: "button",
        "aria-label": `Move ${name} ${by < 0 ? "up" : "down"}`,
        "aria-disabled": !can,
        onclick: () => can && move(i, i + by),
      },
      by < 0 ? "↑" : "↓",
    );
  };
  draw();
  return form(() => give(names), h("p", { class: "sl-second" }, "Smallest at the top."), list, said);
}

/** What is answered with Check, or Enter in a field. @param {() => void} check @param {...HTMLElement} children */
function form(check, ...children) {
  return h(
    "form",
    {
      class: "sl-learn-form",
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        check();
      },
    },
    ...children,
    h("button", { type: "submit", class: "sl-primary" }, "Check"),
  );
}
