/**
 * Queries and keys as arrows in the plane, when d_k is 2: the dot product as a projection, with angle and lengths.
 *
 * @typedef {import("./plane.js").Point} Point
 * @typedef {{queries: (Point & {length: number})[], keys: (Point & {length: number})[], dots: number[][], angles:
 *   (number | null)[][]}} Arrows
 * @typedef {{heads: Arrows[]}} Plane   angles in degrees, null where an arrow has no length
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, say } from "../base/dom.js";
import { shown } from "./numbers.js";
import { HALF, foot, labelPlaces, scaleOf } from "./plane.js";
import { choice } from "./switches.js";

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {Lab} app */
export function createArrows(app) {
  const svg = /** @type {SVGSVGElement} */ (
    s("svg", { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, role: "img", class: "lab-plane" })
  );
  const query = choice("query of", [], (value) => app.choosePair({ query: Number(value) }));
  const key = choice("key of", [], (value) => app.choosePair({ key: Number(value) }));
  const facts = h("dl", { class: "lab-lengths" });
  const why = h("p", null);
  const absent = h("p", { class: "sl-second" });
  const picture = h(
    "div",
    { class: "lab-picture" },
    svg,
    h("div", { class: "lab-beside" }, query.element, key.element, facts, why),
  );
  const element = h(
    "section",
    {
      class: "lab-panel",
      "data-place": "plane",
      tabindex: "-1",
      "aria-label": "In the plane",
      "data-testid": "lab-plane",
    },
    h("h3", null, "In the plane"),
    absent,
    picture,
  );

  return {
    element,
    draw() {
      const { plane, words, d_head: dHead, direct } = app.data;
      absent.hidden = plane !== null;
      picture.hidden = plane === null;
      if (!plane)
        return say(
          absent,
          `Queries and keys have ${dHead} component${dHead === 1 ? "" : "s"} here. ` +
            (direct
              ? "Arrows can be drawn where d_k is 2: the first presets have it."
              : "With d_k = 2 (Words & sizes) they are drawn as arrows."),
        );
      const list = words.map((word, i) => [String(i), word]);
      query.fill(list);
      key.fill(list);
      query.set(String(app.pair.query), false);
      key.set(String(app.pair.key), false);
      drawArrows(plane.heads[app.head]);
    },
  };

  /** @param {Arrows} arrows */
  function drawArrows(arrows) {
    const { words } = app.data;
    const { query: i, key: j } = app.pair;
    const q = arrows.queries[i];
    const k = arrows.keys[j];
    const { scale, grid } = scaleOf([...arrows.queries, ...arrows.keys]);
    const to = (/** @type {Point} */ point) => ({ x: point.x * scale, y: -point.y * scale });
    const parts = [];
    for (let at = -Math.ceil(HALF / scale / grid); at * grid * scale <= HALF; at++) {
      const line = at * grid * scale;
      if (Math.abs(line) > HALF) continue;
      const name = at === 0 ? "lab-axis" : "lab-line";
      parts.push(
        s("line", { class: name, x1: line, x2: line, y1: -HALF, y2: HALF }),
        s("line", { class: name, y1: line, y2: line, x1: -HALF, x2: HALF }),
      );
    }
    /** @type {(Point & {role: string, main: boolean, text: string})[]} */
    const tips = [];
    for (const [role, list, chosen] of /** @type {const} */ ([
      ["key", arrows.keys, j],
      ["query", arrows.queries, i],
    ])) {
      list.forEach((point, n) => {
        const tip = to(point);
        const main = n === chosen;
        parts.push(arrow(tip, role, main));
        if (main || (role === "key" && Math.hypot(tip.x, tip.y) > 14))
          tips.push({ ...tip, role, main, text: `${role === "query" ? "q" : "k"} ${words[n]}` });
      });
    }
    const at = to(foot(q, k));
    const tip = to(k);
    const own = to(q);
    if (q.length > 0) {
      const reach = (HALF * 1.5) / Math.max(Math.hypot(own.x, own.y), 1e-9);
      parts.push(
        s("line", { class: "lab-ray", x1: -own.x * reach, y1: -own.y * reach, x2: own.x * reach, y2: own.y * reach }),
        s("line", { class: "lab-drop", x1: tip.x, y1: tip.y, x2: at.x, y2: at.y }),
        s("line", { class: "lab-foot", x1: 0, y1: 0, x2: at.x, y2: at.y }),
        s("circle", { class: "lab-foot", cx: at.x, cy: at.y, r: 3.5 }),
      );
    }
    const places = labelPlaces(tips);
    tips.forEach(({ role, main, text }, n) =>
      parts.push(
        s(
          "text",
          {
            ...{ x: places[n].x, y: places[n].y, "text-anchor": places[n].anchor },
            class: `lab-tip ${main ? "lab-main" : ""}`,
            "data-role": role,
          },
          text,
        ),
      ),
    );
    svg.replaceChildren(...parts);
    const dot = arrows.dots[i][j];
    const angle = arrows.angles[i][j];
    svg.setAttribute(
      "aria-label",
      `Query of ${words[i]} and the keys of all words as arrows. Query ${words[i]} and key ${words[j]}: ` +
        `${angle === null ? "no angle" : `${angle.toFixed(0)} degrees`}, dot product ${shown(dot)}.`,
    );
    facts.replaceChildren(
      ...[
        ["length of q", shown(q.length)],
        ["length of k", shown(k.length)],
        ["angle between", angle === null ? "none: an arrow has no length" : `${angle.toFixed(1)}°`],
        ["q · k", shown(dot)],
      ].flatMap(([name, text]) => [h("dt", null, name), h("dd", null, text)]),
    );
    say(
      why,
      angle === null
        ? "A vector of length 0 scores 0 with everything."
        : `q · k = |q| · |k| · cos ${angle.toFixed(0)}°: the shadow of k on the line of q (thick), times the ` +
            "length of q. " +
            (angle > 90.05
              ? "More than a right angle apart: negative."
              : angle < 89.95
                ? "Less than a right angle apart: positive."
                : "A right angle: 0."),
    );
  }
}

/** @param {Point} tip @param {string} role @param {boolean} main */
function arrow(tip, role, main) {
  const size = Math.hypot(tip.x, tip.y);
  const group = s("g", { class: `lab-arrow${main ? " lab-main" : ""}`, "data-role": role });
  group.append(s("line", { x1: 0, y1: 0, x2: tip.x, y2: tip.y }));
  if (size > 6) {
    const [ux, uy] = [tip.x / size, tip.y / size];
    const long = main ? 11 : 8;
    const wide = main ? 4.5 : 3.2;
    const back = { x: tip.x - ux * long, y: tip.y - uy * long };
    group.append(
      s("polygon", {
        points:
          `${tip.x},${tip.y} ${back.x - uy * wide},${back.y + ux * wide} ` +
          `${back.x + uy * wide},${back.y - ux * wide}`,
      }),
    );
  } else group.append(s("circle", { cx: tip.x, cy: tip.y, r: 3 }));
  return group;
}
