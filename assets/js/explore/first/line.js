/**
 * What the model says, in one line under the sentence; it opens to the bars, whose module is fetched then. Where the
 * model says no next word, the line offers the one that comes with Sightline and does.
 *
 * @typedef {import("../app.js").App} App
 * @typedef {string | {t: string}} Part  of a line: text, or a token as shown
 * @typedef {object} Says
 * @property {Part[]} line
 * @property {import("../says.js").SaysData | null} panel
 * @property {"mask" | ""} act  what would make the model speak
 * @property {{model: string, name: string} | null} other  says a next word, where this one does not
 */
import { h, mark, say } from "../../base/dom.js";

/**
 * Keys of the pictures seen before on this page, latest first: whose texts a sentence is compared with.
 * @type {string[]}
 */
const seen = [];
const MOST_SEEN = 8;

/** Remember what is shown now, and give what was shown before. @param {string} key */
export function before(key) {
  const others = seen.filter((one) => one !== key);
  seen.splice(0, seen.length, key, ...others.slice(0, MOST_SEEN));
  return others.slice(0, MOST_SEEN);
}

/** @param {Part[]} parts */
export const shownParts = (parts) =>
  parts.map((part) => (typeof part === "string" ? part : h("bdi", { class: "sl-mono" }, part.t)));

/** @param {App} app */
export function createLine(app) {
  const words = h("span", { class: "sl-said" });
  const open = h("button", {
    type: "button",
    class: "sl-plain sl-says-open",
    "data-testid": "sl-says-open",
    "aria-expanded": "false",
    onclick: () => toggle(),
  });
  const acts = h("span", { class: "sl-says-acts" });
  const written = h("p", { class: "sl-written", role: "status", "data-testid": "sl-written" });
  const bars = h("div", { class: "sl-says-bars" });
  const go = h(
    "button",
    { type: "button", "data-testid": "sl-continue", onclick: () => press("write") },
    "Continue the text",
  );
  const more = h(
    "button",
    { type: "button", class: "sl-plain", onclick: () => toPanel() },
    "how it writes, and how much",
  );
  const panel = h(
    "div",
    { class: "sl-says-panel", hidden: true },
    bars,
    h("div", { class: "sl-says-acts" }, go, more),
    written,
  );
  const line = h("p", { class: "sl-says", "data-testid": "sl-says" }, words, " ", open, acts);
  /** @type {Says | null} */
  let found = null;
  let asked = "";

  /** @param {string} name @param {Record<string, unknown>} [what] */
  function press(name, what = {}) {
    if (name === "write") say(written, "Writing …");
    app.callbacks.setTrigger?.("says", { name, ...what, nonce: Date.now() });
  }

  /** The page's own panel, far below, which has every way of writing. */
  function toPanel() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.querySelector(".st-key-readout")?.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
  }

  async function toggle() {
    panel.hidden = !panel.hidden;
    draw();
    if (!panel.hidden) await fill();
  }

  async function fill() {
    const data = found?.panel;
    if (!data || panel.hidden) return;
    const { render } = await import("../says.js");
    if (found?.panel !== data) return;
    render(bars, data, { choose: ({ id, which }) => press("choose", { id, which }) });
  }

  async function ask() {
    const { overview, source } = app;
    if (!overview || overview.key === asked || app.data.first || app.inline || !source || !("answer" in source)) return;
    const key = (asked = overview.key);
    mark(line, "aria-busy", true);
    try {
      const others = before(key);
      const answer = await source.answer(`says${others.length ? `?before=${others.join(".")}` : ""}`);
      if (asked !== key) return;
      found = await answer.json();
    } catch {
      if (asked === key) found = null; // the panel below says why
    }
    mark(line, "aria-busy", null);
    draw();
    fill();
  }

  function draw() {
    ask();
    line.hidden = Boolean(app.inline || app.data.given);
    const { panel: has = null, act = "", other = null, line: parts = [] } = found ?? {};
    words.replaceChildren(...shownParts(parts));
    line.title = words.textContent ?? "";
    open.hidden = !has;
    if (!has) panel.hidden = true;
    say(open, panel.hidden ? "all of it ▾" : "less ▴");
    mark(open, "aria-expanded", String(!panel.hidden));
    go.hidden = !has || has.act !== "add" || !has.groups.length;
    more.hidden = go.hidden;
    /** @type {[string, string, Record<string, unknown>][]} */
    const buttons = [];
    if (act === "mask") buttons.push(["mask", "mask a word", {}]);
    if (other) buttons.push(["model", `ask ${other.name}`, { model: other.model }]);
    const drawn = buttons.map(([name, text]) => `${name}:${text}`).join();
    if (acts.dataset.drawn !== drawn) {
      acts.dataset.drawn = drawn;
      acts.replaceChildren(
        ...buttons.map(([name, text, what]) =>
          h("button", { type: "button", class: "sl-plain", "data-act": name, onclick: () => press(name, what) }, text),
        ),
      );
    }
    const { written: last } = app.data;
    written.replaceChildren(...(last ? [...shownParts(last.tokens.map((t) => ({ t }))), ` ${last.says}`] : []));
  }

  return { line, panel, draw };
}
