/**
 * The question in words, with what can be chosen inside its sentence; the button that switches each head off; how far
 * that is, and Stop.
 *
 * @typedef {import("./experiment.js").ExperimentView} ExperimentView
 * @typedef {import("./told").Proposal} Proposal
 */
import { h, mark, say } from "../base/dom.js";
import { count } from "../base/words.js";
import { verdict } from "./words.js";

const FILLS = /** @type {const} */ ([
  ["mean", "its mean over this text"],
  ["zero", "zero, which is far from what the model knows"],
]);

/** @param {ExperimentView} app */
export function createAsk(app) {
  const kind = h("select", {
    "aria-label": "What to ask",
    "data-testid": "sl-exp-kind",
    onchange: () => app.ask(kind.selectedIndex),
  });
  const sentence = h("h2", { class: "sl-exp-question", "data-testid": "sl-exp-question" });
  const fill = h(
    "select",
    {
      "aria-label": "What stands in the place of a head that is switched off",
      onchange: () => app.setFill(fill.value),
    },
    ...FILLS.map(([value, words]) => h("option", { value }, words)),
  );
  const button = h(
    "button",
    { type: "button", class: "sl-primary", "data-testid": "sl-exp-begin", onclick: () => app.begin() },
    "Switch each head off",
  );
  const halt = h("button", { type: "button", "data-testid": "sl-exp-stop", onclick: () => app.stop() }, "Stop");
  const bar = h("progress", { "aria-label": "Runs that are done" });
  const far = h("span", { "data-testid": "sl-exp-progress" });
  const doing = h("div", { class: "sl-exp-doing", hidden: true }, bar, far, halt);
  const says = h("p", { class: "sl-exp-verdict", "data-testid": "sl-exp-verdict" });
  const notes = h("p", { class: "sl-second" });
  const about = h("p", { class: "sl-second sl-exp-about" });
  const back = h(
    "button",
    { type: "button", class: "sl-plain", "data-testid": "sl-exp-back", onclick: () => app.wish("back") },
    "Back to the text before",
  );
  const other = h("button", {
    type: "button",
    class: "sl-plain",
    "data-testid": "sl-exp-other",
    onclick: () => app.wish("example"),
  });
  const keeps = h("div");
  const element = h(
    "section",
    { class: "sl-exp-ask", "aria-label": "The question" },
    h("div", { class: "sl-head-row" }, h("label", { class: "sl-pick" }, "Ask about", kind), keeps),
    sentence,
    h("div", { class: "sl-exp-act" }, button, h("label", { class: "sl-pick" }, "in its place:", fill)),
    doing,
    says,
    notes,
    h("div", { class: "sl-exp-more" }, about, back, other),
  );
  let made = "";

  function draw() {
    const { questions, other: speaker, example, model } = app.data;
    drawSentence(questions);
    element.dataset.none = String(!questions.length);
    fill.value = app.fill;
    const { told, swept, heads } = app;
    const working = told?.state === "working";
    button.hidden = working || !questions.length;
    say(
      button,
      told?.state === "ready"
        ? "Every head was switched off"
        : swept
          ? "Switch each head off again"
          : "Switch each head off",
    );
    const done = told?.state === "ready";
    mark(button, "aria-disabled", done || null);
    mark(button, "class", done ? "sl-plain" : "sl-primary");
    doing.hidden = !working;
    if (working) {
      const { done, total, ahead } = told;
      bar.max = total || 1;
      if (total) bar.value = done;
      else bar.removeAttribute("value");
      const runs = total ? ` ${count(done)} of ${count(total)} runs` : "";
      say(far, `${told.says}${runs}${ahead ? ` ${count(ahead)} experiments of others come first.` : ""}`);
    }
    const name = (/** @type {import("./told").Variant} */ one) =>
      heads?.nameOf(Number(one.layer), Number(one.head)) ?? "";
    const ended = told?.state === "failed" || told?.state === "stopped";
    const part =
      swept && !swept.finished ? ` ${count(swept.found.length)} of ${count(swept.total)} heads were done.` : "";
    say(
      says,
      !questions.length
        ? `${model.name} says nothing here that could be asked about.`
        : ended
          ? `${told.says}${part}`
          : swept
            ? verdict(swept, name)
            : working
              ? ""
              : `Each of ${heads ? count(heads.places.length) : "the"} heads is switched off alone, and the ` +
                "question is " +
                "asked again; then the same change in length, in random directions, says what chance does.",
    );
    mark(says, "role", told?.state === "failed" ? "alert" : null);
    say(notes, (swept?.notes ?? []).join(" "));
    notes.hidden = !notes.textContent;
    say(about, speaker ? `${model.name} says no next word, so it is asked about its vectors.` : example);
    about.hidden = !about.textContent;
    back.hidden = !app.data.back;
    other.hidden = !speaker;
    say(other, `Ask one that does: the ${speaker}`);
    element.querySelector(".sl-exp-more")?.toggleAttribute("hidden", about.hidden && back.hidden && other.hidden);
  }

  /** @param {Proposal[]} questions */
  function drawSentence(questions) {
    const proposal = questions[app.asks];
    const wanted = JSON.stringify([questions, app.asks]);
    kind.parentElement?.toggleAttribute("hidden", questions.length < 2);
    if (made !== wanted) {
      made = wanted;
      kind.replaceChildren(...questions.map(({ name }) => h("option", null, name)));
      kind.selectedIndex = app.asks;
      sentence.replaceChildren(...(proposal?.line ?? []).map((part) => partOf(app, proposal, part)));
    }
    for (const slot of /** @type {NodeListOf<HTMLSelectElement | HTMLInputElement>} */ (
      sentence.querySelectorAll("[data-slot]")
    )) {
      const name = slot.dataset.slot ?? "";
      const value = String(app.slots[name] ?? proposal.slots[name].chosen);
      if (slot instanceof HTMLSelectElement && ![...slot.options].some((one) => one.value === value))
        slot.append(h("option", { value }, `token number ${value}`));
      if (slot.value !== value) slot.value = value;
    }
  }

  return { element, draw, button, keeps };
}

/**
 * @param {ExperimentView} app @param {Proposal} proposal @param {Proposal["line"][number]} part
 */
function partOf(app, proposal, part) {
  if (typeof part === "string") return h("span", null, part);
  if ("t" in part) return h("bdi", { class: "sl-token" }, part.t);
  const { slot: name } = part;
  const slot = proposal.slots[name];
  const label = { token: "the word", other: slot.text ? "the other sentence" : "the other word" }[name] ?? "the token";
  if (slot.text) {
    const input = h("input", {
      type: "text",
      class: "sl-exp-text",
      "data-slot": name,
      "aria-label": label,
      maxlength: 300,
      onchange: () => input.value.trim() && app.setSlot(name, input.value.trim()),
    });
    return input;
  }
  const select = h(
    "select",
    {
      class: "sl-exp-slot sl-mono",
      "data-slot": name,
      "aria-label": label,
      onchange: () => app.setSlot(name, Number(select.value)),
    },
    ...(slot.options ?? []).map(([value, text]) => h("option", { value }, text)),
  );
  return select;
}
