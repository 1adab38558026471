/**
 * The text box at the top of every page: a sentence, a second one if the model takes pairs, the token count against the
 * model's limit, and a gallery of examples. What is typed stays typed until the person commits it (Enter or Show).
 */

import {
  charactersBefore,
  clip,
  clipSentence,
  countWords,
  indexOf,
  isBlank,
  isCountable,
  lookFor,
  wellFormed,
} from "./text.js";
import { RETRY_MS, askServer, createCounter } from "./count.js";
import { createField, quietButton } from "./field.js";
import { createGallery } from "./gallery.js";
import { h, say, settle } from "../base/dom.js";
import { afterItsElement } from "../base/mounting.js";
import { watchServer } from "./reconnect.js";
import { advice } from "../base/words.js";
import { createWindow } from "./window.js";

/** @typedef {import("./told").ComposerData} ComposerData */
/** @typedef {import("./told").Texts} Texts */
/** @typedef {import("./told").Held} Held */
/** @typedef {{commit: (texts: Texts & {nonce: number}) => void, ask?: typeof askServer}} Callbacks */
/** @typedef {import("../base/mounting.js").Component<ComposerData>} Component */
/** @typedef {import("./field.js").Field} Field */

/** How long nothing must be typed until the pictures follow, ms. */
const FOLLOWS_MS = 250;

const STYLES = new URL("../../css/composer.css", import.meta.url);

/** @type {WeakMap<object, ReturnType<typeof mount>>} */
const mounted = new WeakMap();
/**
 * What was typed, by component key: survives when the page takes the box away and puts it back.
 * @type {Map<string, {seed: number | undefined, typed: Texts, committed: Texts}>}
 */
const drafts = new Map();
let lastNonce = 0;
/** The newest data and way to Python, for the one watch over the server. @type {Component | null} */
let newest = null;

/** What is committed. @param {ComposerData} data @returns {Texts} */
const textsIn = ({ text, start, pair, target }) => ({ text, start: start ?? 0, pair, target: target ?? "" });
/** What may be sent. @param {Texts} texts @returns {Texts} */
const clean = ({ text, start, pair, target }) => ({
  text: wellFormed(text),
  start,
  pair: wellFormed(pair),
  target: wellFormed(target),
});
/** @param {Texts} a @param {Texts} b */
const same = (a, b) => a.text === b.text && a.start === b.start && a.pair === b.pair && a.target === b.target;

/** Build the box in `root`, once. @param {ParentNode & Node} root */
function mount(root) {
  const fields = [
    createField("text", "Sentence", { removable: false, placeholder: "Type a sentence, then press Enter" }),
    createField("pair", "Second sentence", { removable: true, placeholder: "The second sentence of the pair" }),
    createField("target", "Decoder text", { removable: true, placeholder: "What the decoder has written so far" }),
  ];
  const [textField, pairField, targetField] = fields;
  const show = h("button", { class: "sl-show", type: "button", "data-testid": "sl-show" }, "Show");
  const count = h("span", { class: "sl-count", "data-testid": "sl-count" });
  const status = h("span", { class: "sl-status", role: "status" });
  const addPair = quietButton("+ second sentence");
  const addTarget = quietButton("+ decoder text");
  const gallery = createGallery(choose);
  const reading = createWindow(textField.area, move);
  const notes = h("p", { class: "sl-note", role: "status" });
  const look = h("p", { class: "sl-look", hidden: true, "data-testid": "sl-lookfor" });

  const composer = h(
    "section",
    { class: "sl-composer", "aria-label": "Text", "data-loading": true },
    h(
      "div",
      { class: "sl-box" },
      h("div", { class: "sl-fields" }, ...fields.map((field) => field.row)),
      show,
      h("div", { class: "sl-foot" }, count, status, h("div", null, gallery.button, addPair, addTarget)),
    ),
    reading.line,
    notes,
    look,
    gallery.panel,
  );
  const styles = h("link", { rel: "stylesheet", href: STYLES.href });
  styles.onload = styles.onerror = () => {
    delete composer.dataset.loading;
    for (const field of fields) field.fit();
    document.dispatchEvent(new Event("sightline:box")); // seen, so that it can have the focus
  };
  root.append(styles, composer);

  /** @type {ComposerData} */ let data;
  /** @type {Callbacks} */ let callbacks;
  /** @type {Texts} */ let committed = { text: "", start: 0, pair: "", target: "" };
  /** @type {Texts|null} what was handed over and has not come back yet */ let sent = null;
  /** @type {number | undefined} */ let seed;
  let draftKey = "";
  /** @type {import("./text.js").Count|null} */ let counted = null;

  const rest = settle(FOLLOWS_MS, () => tell());
  const counter = createCounter({
    ask: (body, signal) => (callbacks.ask ?? askServer)(data.count_url, body, signal),
    answer: (answer, body) => {
      const loading = answer?.n === null; // the model is not there yet
      counted = loading ? null : answer;
      drawCount(answer ? "" : "tokens not counted");
      if (loading) counter.count(body, RETRY_MS);
    },
  });

  /** @returns {Texts} what is in the box now; a field that is not shown counts as empty */
  function typed() {
    const value = (/** @type {Field} */ field) => (field.row.hidden ? "" : field.area.value);
    const text = value(textField);
    return { text, start: charactersBefore(text, reading.start), pair: value(pairField), target: value(targetField) };
  }

  /** @param {Texts} texts */
  function fill(texts) {
    const allowed = { text: true, pair: data.can_pair, target: Boolean(data.can_target) };
    for (const field of fields) {
      field.area.value = allowed[field.name] ? texts[field.name] : "";
      if (field !== textField) field.row.hidden = field.area.value === "";
    }
    reading.startAt(indexOf(texts.text, texts.start));
  }

  function drawCount(instead = "") {
    const { start } = reading;
    const { words, over } = countWords(counted, start > 0);
    count.textContent = instead || words;
    count.title = !instead && counted?.specials ? `${counted.specials} of them are added by the tokenizer` : "";
    count.classList.toggle("sl-over", over && !instead);
    const { value } = textField.area;
    const cutFrom = over && !instead ? (counted?.cut_from ?? null) : null;
    const cut = cutFrom === null ? value.length : start + indexOf(value.slice(start), cutFrom);
    textField.markUnread(start, cut);
    reading.draw(cut, () => windowLength(cut));
  }

  /**
   * Characters that the model reads at once; of a window at the text's end, what its tokens come to.
   * @param {number} cut
   */
  function windowLength(cut) {
    const { value } = textField.area;
    const { start } = reading;
    const left = value.length - start;
    if (cut < value.length || !counted?.n || !data.limit) return cut - start;
    return Math.max(left, Math.floor((left * data.limit) / counted.n));
  }

  /** Another window of the text. @param {number} index */
  function move(index) {
    reading.startAt(index);
    recount();
    commit();
    textField.scrollTo(index);
    textField.area.focus({ preventScroll: true });
  }

  /** Everything that follows from what is typed, except the count. */
  function draw() {
    const now = typed();
    const edited = !same(now, committed);
    composer.classList.toggle("sl-edited", edited);
    say(
      status,
      data.busy
        ? "reading…"
        : edited && !isBlank(now.text)
          ? advice("edited · Enter shows it", "edited · Show reads it")
          : "",
    );
    composer.setAttribute("aria-busy", String(Boolean(data.busy)));
    addPair.hidden = !data.can_pair || !pairField.row.hidden;
    addTarget.hidden = !data.can_target || !targetField.row.hidden;
    textField.caption.classList.toggle("sl-only", Boolean(pairField.row.hidden && targetField.row.hidden));
    const hint = edited ? "" : lookFor(data.examples, now.text, now.pair, now.target);
    look.hidden = hint === "";
    look.replaceChildren(h("strong", null, "Look for: "), hint);
    drafts.set(draftKey, { seed, typed: now, committed });
    for (const field of fields) if (!field.row.hidden) field.fit();
  }

  function recount() {
    const now = typed();
    counter.stop();
    if (isBlank(now.text)) {
      counted = null;
      return drawCount();
    }
    const { limit } = data;
    const { start: _, ...body } = clean({ ...now, text: now.text.slice(reading.start) });
    if (!isCountable(body)) {
      counted = null;
      return drawCount(`too long to count while typing${limit ? `; ${data.model_name} reads ${limit} tokens` : ""}`);
    }
    const known = same(now, textsIn(data)) && Number.isInteger(data.n);
    counted = known ? { n: data.n, limit } : counted;
    drawCount(known || !counted ? "" : `${countWords(counted).words} …`);
    if (known && !countWords(counted).over) return; // exact already, and nothing is cut
    counter.count(body);
  }

  /**
   * The pictures follow what is typed; null: what Python has.
   * @param {boolean} [entered] it is committed at the same time
   */
  function tell(entered = false) {
    rest.cancel();
    const { start, ...texts } = clean(typed());
    const news = entered || !same(typed(), committed);
    const detail = news && !isBlank(texts.text) ? { ...texts, start, committed: entered } : null;
    document.dispatchEvent(new CustomEvent("sightline:typed", { detail }));
  }

  /** @param {Texts} [example] it may be read by another model than this page's, which has fields that this one lacks */
  function commit(example) {
    const now = typed();
    if (isBlank(now.text)) {
      say(notes, "There is no text yet: type a sentence or take an example. The picture stays as it is.");
      return textField.area.focus();
    }
    lastNonce = Math.max(lastNonce + 1, Date.now());
    committed = now;
    sent = clean(example ?? now);
    callbacks.commit({ ...sent, nonce: lastNonce });
    if (example) rest.cancel();
    else tell(true);
    draw();
  }

  /** @param {import("./text.js").Example} example */
  function choose(example) {
    say(notes, "");
    const texts = { text: example.text, start: 0, pair: example.pair ?? "", target: example.target ?? "" };
    fill(texts);
    draw();
    recount();
    commit(texts);
    textField.area.focus({ preventScroll: true });
  }

  /** @param {HTMLTextAreaElement} area */
  function onInput(area) {
    const { text, dropped } = clip(area.value);
    say(notes, dropped ? clipSentence(text.length, dropped) : "");
    if (dropped) area.value = text;
    reading.changed();
    draw();
    recount();
    rest();
  }

  /**
   * A huge paste is cut before the browser lays it out: a megabyte in a text box would freeze the page.
   * @param {ClipboardEvent} event
   * @param {HTMLTextAreaElement} area
   */
  function onPaste(event, area) {
    const pasted = event.clipboardData?.getData("text/plain") ?? "";
    const room = clip(pasted);
    if (!room.dropped) return;
    event.preventDefault();
    area.setRangeText(room.text, area.selectionStart, area.selectionEnd, "end");
    area.value = clip(area.value).text;
    reading.changed();
    draw();
    recount();
    rest();
    say(notes, clipSentence(room.text.length, room.dropped));
  }

  /** @param {Field} field */
  function add(field) {
    field.row.hidden = false;
    draw();
    field.area.focus();
  }

  for (const field of fields) {
    field.area.oninput = () => onInput(field.area);
    field.area.onpaste = (event) => onPaste(event, field.area);
    field.area.onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      commit();
    };
    field.remove.onclick = () => {
      field.row.hidden = true;
      field.area.value = "";
      draw();
      recount();
      rest();
      textField.area.focus();
    };
  }
  show.onclick = () => commit();
  addPair.onclick = () => add(pairField);
  addTarget.onclick = () => add(targetField);
  composer.addEventListener("keydown", (event) => event.stopPropagation()); // typing is nobody's keyboard shortcut
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === width) return; // heights are ours
    width = contentRect.width;
    for (const field of fields) field.fit();
  }).observe(composer);

  /**
   * The texts that come with the data are no news: they were there before, or we sent them and somebody has typed on.
   * @param {ComposerData | undefined} before
   */
  function isKnown(before) {
    const news = textsIn(data);
    const now = typed();
    if (sent !== null && same(sent, news)) return same(now, news) || !same(now, committed);
    return before !== undefined && same(textsIn(before), news);
  }

  /** @param {ComposerData} nextData @param {Callbacks} nextCallbacks @param {string} key */
  function update(nextData, nextCallbacks, key) {
    const before = data;
    [data, callbacks, draftKey] = [nextData, nextCallbacks, key];
    if (before?.examples.length !== data.examples.length || !before) gallery.show(data.examples);
    const draft = before ? undefined : drafts.get(draftKey);
    if (draft?.seed === data.seed) {
      fill(draft.typed);
      committed = draft.committed;
    } else if (seed !== data.seed && !isKnown(before)) {
      fill(textsIn(data));
      committed = typed();
    }
    if (seed !== data.seed) sent = null;
    seed = data.seed;
    for (const [field, can, words] of /** @type {const} */ ([
      [pairField, data.can_pair, `${data.model_name} reads one text: the second sentence is not sent.`],
      [targetField, data.can_target, `${data.model_name} has no decoder: the decoder text is not sent.`],
    ])) {
      if (can || field.row.hidden) continue;
      say(notes, words);
      field.row.hidden = true;
    }
    draw();
    if (reading.start > 0 && before?.start !== data.start) textField.scrollTo(reading.start);
    recount();
  }

  const life = new AbortController();
  const takesOver = (/** @type {Event} */ event) => takeOver(/** @type {CustomEvent<Held>} */ (event));
  document.addEventListener("sightline:hand", takesOver, { signal: life.signal });

  /** What was typed before this box was there goes on in it. @param {CustomEvent<Held>} event */
  function takeOver(event) {
    event.preventDefault(); // taken
    const { text, edited, start, end, direction, focused, entered } = event.detail;
    if (edited) {
      textField.area.value = text;
      onInput(textField.area);
    }
    if (focused) {
      textField.area.focus({ preventScroll: true });
      textField.area.setSelectionRange(start, end, direction);
    }
    if (entered && edited) commit();
  }

  return { update, stop: () => (life.abort(), rest.cancel(), counter.stop(), gallery.close()) };
}

/**
 * Draw the text box in `root`, or bring the one that is there up to date.
 * @param {ParentNode & Node} root
 * @param {ComposerData} data
 * @param {Callbacks} callbacks
 * @param {string} [key] whose draft this is, where a page has several
 * @returns {() => void} clean-up
 */
export function render(root, data, callbacks, key = "composer") {
  let composer = mounted.get(root);
  if (!composer) mounted.set(root, (composer = mount(root)));
  composer.update(data, callbacks, key);
  return composer.stop;
}

/**
 * Streamlit's entry: called again on the same element whenever the data or the theme changes.
 * @param {Component} component
 */
export default function (component) {
  const commit = (/** @type {Texts & {nonce: number}} */ texts) => component.setStateValue("text", texts);
  if (!newest)
    watchServer(
      () => newest?.data.boot,
      () => newest?.setTriggerValue("back", Date.now()),
    );
  newest = component;
  const root = component.parentElement;
  const stop = render(root, component.data, { commit }, component.key ?? "composer");
  return afterItsElement(root, stop);
}
