/**
 * The title of the head and its proof: recomputed from q, k and v, compared with what the model computed.
 *
 * @typedef {import("./app.js").App} App
 */
import { h, mark, say } from "../base/dom.js";
import { badge, difference } from "../base/words.js";
import { linkNow } from "./handover.js";

/** @param {App} app */
export function createTitle(app) {
  const title = h("h2", null);
  const proof = createProof(app);
  const before = h(
    "button",
    {
      type: "button",
      class: "sl-step",
      title: "Previous head ( [ )",
      "aria-label": "Previous head",
      onclick: () => app.stepHead(-1),
    },
    "‹",
  );
  const after = h(
    "button",
    {
      type: "button",
      class: "sl-step",
      title: "Next head ( ] )",
      "aria-label": "Next head",
      onclick: () => app.stepHead(1),
    },
    "›",
  );
  const open = h("a", { class: "sl-open", target: "_blank", rel: "noopener" }, "open in Sightline");
  const follow = h(
    "a",
    {
      class: "sl-follow",
      "data-testid": "sl-follow",
      onclick: (/** @type {MouseEvent} */ event) => {
        // a new tab opens the link
        if (event.metaKey || event.ctrlKey || event.shiftKey || !app.callbacks.setTrigger) return;
        event.preventDefault();
        app.leave("steps");
      },
    },
    "step by step",
  );
  const terms = h("span", {
    class: "sl-second",
    title: "What this layer has beyond the plain formula",
    "data-testid": "sl-terms",
    hidden: true,
  });
  const element = h(
    "div",
    { class: "sl-title" },
    title,
    h("span", { class: "sl-steps" }, before, after),
    proof.element,
    terms,
    follow,
    open,
  );

  function draw() {
    const { overview, selection, matrix, data } = app;
    if (!overview) return;
    const { layer, head } = selection;
    say(title, overview.title(layer, head));
    const named = matrix?.meta?.terms ?? [];
    terms.hidden = named.length === 0;
    say(terms, named.join(" · "));
    proof.draw();
    follow.hidden = data.mode === "embed" || app.inline || typeof head !== "number" || typeof layer !== "number";
    const link = data.first ? linkNow(app) : (data.link ?? "");
    follow.href = new URL(`steps${link}`, document.baseURI).href;
    open.hidden = data.mode !== "embed" || !data.link;
    if (data.link) open.href = location.origin + location.pathname + data.link;
  }

  return { element, draw };
}

/** The badge, and what it stands on when it is opened. @param {App} app */
function createProof(app) {
  const words = h("button", { type: "button", class: "sl-badge", "data-testid": "sl-badge", "aria-expanded": "false" });
  const body = h("tbody", null);
  const says = h("p", { class: "sl-second" });
  const reasons = h("ul", { class: "sl-reasons", "data-testid": "sl-reasons" });
  const checks = h(
    "div",
    { class: "sl-pop", role: "region", "aria-label": "Proof", hidden: true },
    reasons,
    says,
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ...["step", "difference", "tolerance", "why this tolerance"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      body,
    ),
  );
  const element = h("span", { class: "sl-anchor" }, words, checks);
  app.popover(words, checks);

  function draw() {
    const { overview, selection, matrix } = app;
    if (!overview) return;
    const { layer, head } = selection;
    const group = overview.groups.find((g) => g.all === layer);
    const facts = badge({
      head,
      nHeads: overview.layerOf(layer)?.n_heads ?? 0,
      layers: group ? group.layers.length : 1,
      meta: matrix?.meta ?? null,
      here: !app.inline && !app.headError,
    });
    say(words, app.headError ? "not checked: no answer" : facts.text);
    mark(words, "data-state", facts.state);
    mark(words, "title", app.headError ? null : (facts.number ?? null));
    const proof = matrix?.meta?.proof;
    const why = proof?.reasons ?? matrix?.meta?.reservations ?? [];
    const rows = proof?.checks ?? [];
    const has = rows.length > 0 || why.length > 0;
    words.disabled = !has;
    if (!has) {
      checks.hidden = true;
      mark(words, "aria-expanded", "false");
    } else {
      reasons.hidden = why.length === 0;
      reasons.replaceChildren(...why.map((reason) => h("li", null, reason)));
      says.hidden = rows.length === 0 || proof?.answer === "cannot be checked";
      say(
        says,
        "Recomputed from the captured q, k and v with Sightline’s own formula and compared with what the " +
          "model computed. Largest absolute difference:",
      );
      /** @type {HTMLElement} */ (body.parentElement).hidden = rows.length === 0;
      body.replaceChildren(
        ...rows.map((check) =>
          h(
            "tr",
            { "data-holds": String(check.holds) },
            h("th", { scope: "row" }, `${check.holds ? "✓" : "✗"} ${check.name}`),
            h("td", { class: "sl-number" }, difference(check.difference)),
            h("td", { class: "sl-number" }, difference(check.tolerance)),
            h("td", null, check.reason),
          ),
        ),
      );
    }
  }

  return { element, draw };
}
