/**
 * Every number of the curves and of one map as tables, as files, and the link to what is shown.
 *
 * @typedef {import("./grow.js").Grow} Grow
 */
import { copied, createAddress } from "../base/copying.js";
import { h, mark, say } from "../base/dom.js";
import { cell, curvesCsv, mapCsv, table } from "./run.js";
import { popover } from "../base/popover.js";
import { download } from "../base/save.js";
import { MASKED } from "../base/wire.js";

/** @param {Grow} app */
export function createTables(app) {
  const told = h("span", { class: "sl-grow-told", role: "status" });
  const address = createAddress();
  const menu = h("div", { class: "sl-pop sl-menu", role: "group", "aria-label": "Files", hidden: true });
  const saver = h("button", { type: "button", "data-testid": "sl-save", "aria-expanded": "false" }, "Save ▾");
  const large = h(
    "button",
    { type: "button", title: "For a projector", onclick: () => app.callbacks.setTrigger?.("large", Date.now()) },
    "Large type",
  );
  const copy = h("button", { type: "button", "data-testid": "sl-copy", onclick: () => copyLink() }, "Copy link");
  const actions = h(
    "div",
    { class: "sl-grow-actions" },
    told,
    large,
    h("span", { class: "sl-anchor" }, saver, menu),
    copy,
    address,
  );
  const close = popover(saver, menu, app.life.signal);
  for (const [name, title, says, make] of /** @type {[string, string, string, () => void][]} */ ([
    ["curves", "Curves, CSV", "every saved step", () => file(curvesCsv(run()), "curves.csv")],
    [
      "map",
      "This map, CSV",
      "the large one",
      () =>
        file(
          mapCsv(run(true), app.at(app.head.second), app.head.layer, app.head.head),
          `map-step${run(true).steps[app.at(app.head.second)]}-layer${app.head.layer}-head${app.head.head}.csv`,
          true,
        ),
    ],
    ["run", "The whole run", "maps, losses, scores", () => whole()],
  ])) {
    menu.append(
      h(
        "button",
        {
          type: "button",
          "data-file": name,
          onclick: () => {
            make();
            close();
          },
        },
        h("span", null, title),
        h("span", { class: "sl-grow-second" }, says),
      ),
    );
  }

  const run = (head = false) =>
    /** @type {import("./run.js").Run} */ (head && app.head.second && app.other ? app.other : app.run);

  /** @param {string} text @param {string} name @param {boolean} [head]  of the large map's run */
  function file(text, name, head = false) {
    download(new Blob([text], { type: "text/csv" }), `sightline-${run(head).facts.name}-${name}`);
  }

  async function whole() {
    say(told, "The run is on its way…");
    try {
      const answer = await fetch(app.fileAddress());
      if (!answer.ok)
        throw new Error(answer.status === 410 ? "The server no longer has it." : `status ${answer.status}`);
      download(await answer.blob(), `sightline-${run().facts.name}.run.gz`);
      say(told, "");
    } catch (error) {
      say(told, `The run could not be saved. ${/** @type {Error} */ (error).message}`);
    }
  }

  async function copyLink() {
    address.hidden = true;
    const link = await app.link();
    if (!link) return say(told, "The link is not ready yet: the server has not answered. Try again.");
    if (!(await copied(link, address))) return;
    say(told, "Link copied.");
    setTimeout(() => say(told, ""), 6000);
  }

  const curves = panel("Every saved step as a table");
  const map = panel("This map as a table");
  const measured = panel("What is measured, and on what");
  const element = h("div", { class: "sl-grow-tables" }, measured.element, curves.element, map.element);
  for (const part of [curves, map, measured]) part.element.ontoggle = () => draw();

  function draw() {
    mark(large, "aria-pressed", String(Boolean(app.data.large)));
    if (!app.run) return;
    curves.draw(`${app.shownId}:${app.run.saved}`, () =>
      tableOf(...valuesOf(table(run())), "Loss and every head’s scores at every saved step"),
    );
    const { layer, head, second } = app.head;
    const at = app.at(second);
    map.draw(`${app.shownId}:${app.place.vs}:${second}:${at}:${layer}:${head}`, () => {
      const of = run(true);
      const { tokens } = of.facts;
      const keys = of.keys;
      const rows = tokens.map((t, q) => [
        `${q} ${t}`,
        ...keys.map((_, k) => {
          const w = of.weight(at, layer, head, q, k);
          return w === MASKED ? "–" : cell(w, 2);
        }),
      ]);
      return tableOf(
        ["query", ...keys.map((t, k) => `${k} ${t}`)],
        rows,
        `Layer ${layer}, head ${head}, step ${of.steps[at]}: rows are queries, columns are keys; – may not be read`,
      );
    });
    measured.draw(`${app.shownId}:${app.run.facts.moments.length}`, () => explained(app));
  }

  return { element, actions, draw };
}

/** @param {{head: string[], rows: string[][]}} found @returns {[string[], string[][]]} */
function valuesOf({ head, rows }) {
  return [head, rows];
}

/** @param {string} title */
function panel(title) {
  const body = h("div", { class: "sl-table", tabindex: "0", role: "region", "aria-label": title });
  const element = h("details", null, h("summary", null, title), body);
  let drawn = "";
  return {
    element,
    /** Only what is open is made. @param {string} key @param {() => Node} make */
    draw(key, make) {
      if (!element.open || key === drawn) return;
      drawn = key;
      body.replaceChildren(make());
    },
  };
}

/** @param {string[]} head @param {string[][]} rows @param {string} caption */
function tableOf(head, rows, caption) {
  return h(
    "table",
    null,
    h("caption", null, caption),
    h("thead", null, h("tr", null, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h(
      "tbody",
      null,
      ...rows.map(([first, ...others]) =>
        h(
          "tr",
          null,
          h("th", { scope: "row", class: "sl-number" }, first),
          ...others.map((text) => h("td", { class: "sl-number" }, text)),
        ),
      ),
    ),
  );
}

/** @param {Grow} app */
function explained(app) {
  const { facts } = /** @type {import("./run.js").Run} */ (app.run);
  const entries = [
    [
      "Loss",
      (facts.measured ||
        "Mean surprise in nats at the tokens that could be known, on 32 rows that no run learns from.") +
        (facts.chance === null
          ? " "
          : ` Chance is ${facts.chance.toFixed(2)}: what a guesser loses that knows which tokens there are ` +
            "and nothing else."),
    ],
    ...facts.scores.map(({ title, says, even }) => [
      title,
      `${says} A head that looks at everything alike has ${even.toFixed(2)}.`,
    ]),
    [
      "The marked moments",
      facts.moments.length
        ? facts.moments.map(({ title, step }) => `${title}: step ${step}`).join("; ") + `. ${facts.moments_say ?? ""}`
        : (facts.moments_say ?? "None in this run."),
    ],
    [
      "Maps",
      `Weights of one row of ${facts.tokens.length} ` +
        `tokens${facts.keys && facts.keys.length !== facts.tokens.length ? ` on ${facts.keys.length}` : ""}, ` +
        "the same at every step, in 254 levels.",
    ],
    ...(facts.made ? [["Recorded", facts.made]] : []),
  ];
  return h(
    "dl",
    { class: "sl-grow-facts" },
    ...entries.flatMap(([name, says]) => [h("dt", null, name), h("dd", null, says)]),
  );
}
