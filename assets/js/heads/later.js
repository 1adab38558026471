/**
 * What comes after the numbers of a text: the weight between two tokens in every head, heads alike, labels of the
 * model.
 *
 * @typedef {import("./heads.js").HeadsView} HeadsView
 */
import { LostError } from "../base/source.js";
import { quoted } from "../base/words.js";

/** How often the labels are asked for while they are made, ms. */
const ASK_AGAIN = 1000;

/** How far labels are that are asked for. @type {import("./packs").Labels} */
export const BEGINS = { state: "working", done: 0, total: 0 };

/** Other texts, other labels. @param {HeadsView} app @param {string} by  see `labels_by` */
export function takeLabels(app, by) {
  if (by === app.labelsBy) return;
  app.labelsBy = by;
  app.told = { ...BEGINS };
  if (!app.heads) return;
  app.heads.cards = null;
  askLabels(app);
}

/** The weight between the two chosen tokens, in every head. @param {HeadsView} app */
export async function loadLook(app) {
  const { heads, source, pair, group } = app;
  app.lookFailed = "";
  if (pair.query === null || pair.key === null || !source) {
    heads.setLook(null);
    return;
  }
  try {
    /** @type {import("./packs").LookPack} */
    const pack = await source.pack(
      `heads/between/${encodeURIComponent(heads.groups[group].all).replaceAll("%3A", ":")}/${pair.query}/${pair.key}`,
    );
    if (app.heads !== heads || app.pair !== pair) return;
    const { query, key } = app.pairTokens();
    app.lookOf = pair;
    heads.setLook(
      pack,
      `${query} → ${key}`,
      `${app.data.by_norm ? "Share of ‖a·v·W_O‖" : "Weight"} with which ${quoted(query ?? "")} (token ` +
        `${pair.query}) looks at ${quoted(key ?? "")} (token ${pair.key})${pieces(pack.meta)}.`,
      app.data.by_norm ? "‖a·v·W_O‖" : "attention",
    );
  } catch (error) {
    if (app.heads !== heads || app.pair !== pair) return;
    heads.setLook(null);
    app.lookFailed = /** @type {Error} */ (error).message;
    app.announce(app.lookFailed);
  }
}

/** Heads that behave like the chosen one. @param {HeadsView} app */
export async function loadAlike(app) {
  const { heads, source, selected } = app;
  if (selected === null || !source || app.alike?.of === selected) return;
  const { layer, head } = heads.places[selected];
  try {
    /** @type {import("./packs").LikePack} */
    const { meta } = await source.pack(`heads/like/${layer}/${head}`);
    if (app.heads !== heads || app.selected !== selected) return;
    const found = meta.heads.flatMap(({ layer: l, head: h, distance }) => {
      const i = heads.indexOf(l, h);
      return i === null ? [] : [{ i, distance }];
    });
    app.alike = { of: selected, heads: found, says: meta.says, how: meta.how };
    app.frame.panel.draw();
  } catch {
    // The panel keeps its dots; the numbers of the text are more important, and they say what is wrong.
  }
}

/** Ask for the labels until they are there: they belong to the model, not to the text. @param {HeadsView} app */
export async function askLabels(app) {
  clearTimeout(app.asking);
  const { source, heads, labelsBy } = app;
  if (!source) return;
  /** @type {import("./packs").Labels} */
  let told;
  try {
    const by = labelsBy ? `?by=${encodeURIComponent(labelsBy)}` : "";
    told = await (await source.answer(`heads/labels${by}`)).json();
  } catch (error) {
    if (error instanceof LostError) return;
    told = { state: "failed", done: 0, total: 0, says: `No labels: ${/** @type {Error} */ (error).message}` };
  }
  if (app.heads !== heads || app.labelsBy !== labelsBy || app.life.signal.aborted) return;
  app.told = told;
  if (told.state === "working") {
    app.frame.status.draw();
    app.asking = setTimeout(() => askLabels(app), ASK_AGAIN);
    return;
  }
  const { cards } = told;
  if (cards) heads.cards = heads.places.map(({ layer, head }) => cards[`${layer}.${head}`] ?? null);
  app.draw();
}

/** What several pieces of a word mean. @param {import("./packs").LookPack["meta"]} meta */
function pieces({ queries, keys }) {
  const parts = [];
  if (keys.length > 1) parts.push(`summed over its ${keys.length} pieces`);
  if (queries.length > 1) parts.push(`averaged over the ${queries.length} pieces that look`);
  return parts.length ? `, ${parts.join(" and ")}` : "";
}
