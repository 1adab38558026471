/**
 * The line at the foot: the cell that is looked at, how it was made, and a slider where it can be changed.
 *
 * @typedef {import("./lab.js").Lab} Lab
 */
import { h, mark, say } from "../base/dom.js";
import { advice } from "../base/words.js";
import { at, cellText, exact, foremost, shown, sliderRange, terms, typed } from "./numbers.js";

/** Products written out; the rest is summed. */
const MOST = 6;

/** @param {Lab} app */
export function createInspector(app) {
  const name = h("span", { class: "lab-where" });
  const value = h("output", { class: "lab-value" });
  const slider = h("input", { type: "range", class: "lab-slider", "data-testid": "lab-slider" });
  const back = h("button", { type: "button", class: "sl-plain", "data-testid": "lab-to-real" }, "undo to real");
  const tools = h("span", { class: "lab-tools" }, slider, back);
  const made = h("p", { class: "lab-made" });
  const element = h(
    "section",
    { class: "lab-inspector", "aria-label": "The chosen cell", "data-testid": "lab-inspector" },
    h("div", { class: "lab-what" }, name, value, tools),
    made,
  );
  /** @type {{id: string, row: number, column: number} | null} what the slider changes */
  let place = null;
  let sliding = false;

  slider.oninput = () => {
    if (!place) return;
    sliding = true;
    app.pass(place.id, place.row, place.column, Number(slider.value));
    say(value, typed(Number(slider.value)));
  };
  slider.onchange = () => {
    if (!place) return;
    sliding = false;
    app.edit(place.id, place.row, place.column, slider.value);
  };
  // back where it was, it tells no change
  slider.onpointerup = slider.onpointercancel = slider.onblur = () => (sliding = false);
  slider.onkeydown = (event) => {
    if (event.key !== "Escape" && !(event.altKey && event.key === "ArrowUp")) return;
    event.preventDefault();
    if (place) app.grids.get(place.id)?.focus(place.row, place.column);
  };
  back.onclick = () => {
    if (place) app.act({ do: "to_real", matrix: app.found.get(place.id)?.name, row: place.row, column: place.column });
  };

  return {
    element,
    slide: () => slider.focus(),
    /** @param {{id: string, row: number, column: number} | null} now */
    draw(now) {
      const matrix = now && app.found.get(now.id);
      if (!now || !matrix) {
        say(name, "");
        say(value, "");
        tools.hidden = true;
        made.replaceChildren(
          advice(
            "Point at a number to see what made it. Numbers in white boxes can be changed: click and type, " +
              "drag sideways, or walk there with the arrow keys.",
            "Tap a number to see what made it. Numbers in white boxes can be changed: tap and type, or drag sideways.",
          ),
        );
        return;
      }
      const { row, column } = now;
      const x = at(matrix, row, column);
      mark(element, "data-role", matrix.role || null);
      say(name, `${matrix.symbol} [${matrix.rows[row]}, ${matrix.columns[column]}] =`);
      tools.hidden = !matrix.editable;
      if (matrix.editable) {
        place = { ...now };
        if (!sliding) {
          const range = sliderRange(x ?? 0);
          slider.min = String(range.min);
          slider.max = String(range.max);
          slider.step = "any"; // a number that was typed stays where it is
          slider.dataset.step = String(range.step);
          slider.value = exact(x);
        }
        mark(slider, "aria-label", `${matrix.symbol}, ${matrix.rows[row]}, ${matrix.columns[column]}`);
        if (!sliding) say(value, typed(x));
        const changed = (matrix.changed ?? []).includes(row * matrix.shape[1] + column);
        back.hidden = !changed;
        made.replaceChildren(wayOf(matrix));
      } else {
        say(value, cellText(matrix, row, column));
        made.replaceChildren(...explain(matrix, row, column));
      }
    },
  };

  /** @param {import("./numbers.js").Matrix} matrix */
  function wayOf(matrix) {
    const keys = "type (Enter commits, Escape takes back), drag sideways, Shift with ↑ ↓, or the slider (Alt ↓)";
    return `${matrix.title}: ${advice(keys, "type, drag sideways, or use the slider")}.`;
  }

  /** @param {import("./numbers.js").Matrix} matrix @param {number} row @param {number} column */
  function explain(matrix, row, column) {
    const products = terms(matrix, row, column, (id) => app.found.get(id));
    if (products) {
      const { few, others, rest } = foremost(products, MOST);
      const [left, right] = [matrix.made?.left, matrix.made?.right].map((id) => app.found.get(id ?? "")?.role ?? "");
      /** @type {(Node | string)[]} */
      const parts = [];
      few.forEach((term, i) => {
        if (i) parts.push(" + ");
        parts.push(h("span", { class: "lab-term" }, number(term.left, left), " · ", number(term.right, right)));
      });
      if (others) parts.push(` + ${shown(rest)} from ${others} more`);
      return [...parts, " = ", h("b", null, shown(at(matrix, row, column)))];
    }
    const { made: how } = matrix;
    if (!how) return [matrix.formula || matrix.title];
    const left = app.found.get(how.left);
    if (how.by === "row" && left) {
      const line = left.values.slice(row * left.shape[1], (row + 1) * left.shape[1]);
      return [`${matrix.formula}. The row: `, line.map(shown).join(", ")];
    }
    const before = (how.by === "cell" ? [how.left, how.right] : []).flatMap((id) => {
      const from = id ? app.found.get(id) : undefined;
      return from ? [`${from.symbol} ${shown(at(from, row, column))}`] : [];
    });
    return [`${matrix.formula || matrix.title}${before.length ? `, here from ${before.join(" and ")}` : ""}`];
  }

  /** @param {number} x @param {string} role */
  function number(x, role) {
    return h("span", { class: "lab-factor", "data-role": role || null }, x < 0 ? `(${shown(x)})` : shown(x));
  }
}
