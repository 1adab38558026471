/**
 * Files: a program, a spreadsheet, a picture of any matrix.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { appRoot } from "../base/addresses.js";
import { h, say } from "../base/dom.js";
import { popover } from "../base/popover.js";
import { download, rasterise } from "../base/save.js";

const FILES = [
  { kind: "numpy.py", label: "Python, NumPy", says: "runs as it is" },
  { kind: "torch.py", label: "Python, torch", says: "runs as it is" },
  { kind: "lab.xlsx", label: "Spreadsheet, .xlsx", says: "with live formulas" },
];

/** @param {Lab} app */
export function createSave(app) {
  const button = h("button", { type: "button", "aria-expanded": "false", "data-testid": "lab-save" }, "Save");
  const which = h("select", { "data-testid": "lab-which" });
  const picture = (/** @type {string} */ end) =>
    h(
      "button",
      { type: "button", "data-file": end, onclick: () => run(() => matrix(app, which.value, end)) },
      end.toUpperCase(),
    );
  const panel = h(
    "div",
    { class: "sl-pop sl-menu lab-pop", hidden: true, role: "group", "aria-label": "Save" },
    ...FILES.map(({ kind, label, says }) =>
      h(
        "button",
        { type: "button", "data-file": kind, onclick: () => run(() => file(app, kind)) },
        h("span", null, label),
        h("span", { class: "sl-second" }, says),
      ),
    ),
    h(
      "div",
      { class: "lab-row" },
      h("label", { class: "lab-choice" }, "picture of ", which),
      picture("svg"),
      picture("png"),
    ),
  );
  const close = popover(button, panel, app.life.signal);
  let drawn = "";

  /** @param {() => Promise<void>} make */
  async function run(make) {
    close();
    try {
      await make();
    } catch (error) {
      app.tell(/** @type {Error} */ (error).message);
    }
  }

  return {
    element: h("span", { class: "sl-anchor" }, button, panel),
    draw() {
      const key = app.data.matrices.map((one) => one.id).join();
      if (key === drawn) return;
      drawn = key;
      const kept = which.value;
      which.replaceChildren(
        ...app.data.matrices.map((one) => h("option", { value: one.id }, `${one.symbol}, ${one.title}`)),
      );
      which.value = app.found.has(kept) ? kept : (app.shown("weights")?.id ?? "");
      say(button, "Save");
    },
  };
}

/** @param {Lab} app @param {string} kind */
async function fetched(app, kind) {
  const answer = await fetch(new URL(`${app.data.files}/${kind}`, appRoot()), { method: "POST", body: app.data.state });
  if (answer.ok) return answer.blob();
  const { error = "The server did not answer." } = await answer.json().catch(() => ({}));
  throw new Error(`This file could not be made: ${error}`);
}

/** @param {Lab} app @param {string} kind */
async function file(app, kind) {
  download(await fetched(app, kind), `sightline-lab-${kind}`.replace("lab-lab", "lab"));
}

/** @param {Lab} app @param {string} id @param {string} end */
async function matrix(app, id, end) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const svg = await fetched(app, `${id.replace(":", "-")}.svg${dark ? "?theme=dark" : ""}`);
  download(end === "png" ? await rasterise(svg) : svg, `sightline-lab-${id.replace(":", "-head")}.${end}`);
}
