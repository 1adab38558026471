/**
 * What is shown while there is no picture: on its way, nothing yet, failed, or forgotten by the server.
 *
 * @typedef {ReturnType<typeof createState>} State
 */
import { h, mark, say } from "./dom.js";

const WORDS = {
  loading: ["Computing the attention of every head…", "The model reads the text; the pictures follow."],
  empty: [
    "Nothing to look at yet.",
    "Write a sentence above, or pick an example: every attention head of the model will be drawn here, and " +
      "one of them in detail.",
  ],
  error: ["This picture could not be loaded.", ""],
  lost: ["The server no longer has these numbers.", "They are being computed again; this takes a moment."],
};

/** @param {() => void} retry */
export function createState(retry) {
  const title = h("p", { class: "sl-state-title" });
  const text = h("p", { class: "sl-second" });
  const again = h("button", { type: "button", class: "sl-primary", onclick: retry }, "Try again");
  const bones = h("div", { class: "sl-bones", "aria-hidden": "true" }, h("span", null), h("span", null));
  const element = h("div", { class: "sl-state", role: "status", hidden: true }, title, text, again, bones);

  return {
    element,
    /** @param {"loading" | "empty" | "error" | "lost" | "ready"} name @param {string} [says] */
    show(name, says) {
      element.hidden = name === "ready";
      mark(element, "data-name", name);
      mark(/** @type {Element} */ (element.parentElement), "data-state", name);
      if (name === "ready") return;
      say(title, WORDS[name][0]);
      say(text, says || WORDS[name][1]);
      again.hidden = name !== "error" && name !== "lost";
      bones.hidden = name !== "loading" && name !== "empty";
    },
  };
}
