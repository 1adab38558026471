/**
 * The switches: what is standard in attention, one by one.
 *
 * @typedef {import("./lab.js").Lab} Lab
 *
 * @typedef {object} Switches  of `attention_core/lab/state.py`
 * @property {boolean} scale  scores are divided by √d_k
 * @property {boolean} causal
 * @property {"none" | "sinusoidal" | "rotary" | "alibi"} positions
 * @property {"softmax" | "none" | "hard max"} softmax
 * @property {number | null} window  how far a word may look; null: anywhere
 * @property {number[]} padding  words that nobody may look at
 * @property {number} temperature
 */
import { h, mark, say } from "../base/dom.js";
import { popover } from "../base/popover.js";

/** Temperatures of the slider, even on a logarithmic scale. */
export const TEMPERATURES = [0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100];

/** The slider's place for a temperature: the nearest one. @param {number} t */
export function placeOf(t) {
  let best = 0;
  TEMPERATURES.forEach((one, i) => {
    if (Math.abs(Math.log(one / t)) < Math.abs(Math.log(TEMPERATURES[best] / t))) best = i;
  });
  return best;
}

/** @param {Lab} app */
export function createSwitches(app) {
  /** @param {Record<string, unknown>} values  of switches */
  const set = (values) => app.act({ do: "switch", values });
  const scale = check("÷ √d_k", (on) => set({ scale: on }), "lab-scale");
  const causal = check("causal", (on) => set({ causal: on }), "lab-causal");
  const positions = choice(
    "positions",
    [
      ["none", "none"],
      ["sinusoidal", "sinusoidal"],
      ["rotary", "rotary"],
      ["alibi", "ALiBi"],
    ],
    (value) => set({ positions: value }),
  );
  const softmax = choice(
    "softmax",
    [
      ["softmax", "softmax"],
      ["none", "no softmax"],
      ["hard max", "hard max"],
    ],
    (value) => set({ softmax: value }),
  );
  const window_ = choice("window", [], (value) => set({ window: value === "" ? null : Number(value) }));
  const heads = choice("heads", [], (value) => app.act({ do: "heads", n_heads: Number(value) }));
  const padding = createPadding(app, (indices) => set({ padding: indices }));
  const degrees = h("output", { class: "lab-degrees" });
  const heat = h("input", {
    type: "range",
    min: 0,
    max: TEMPERATURES.length - 1,
    step: 1,
    class: "lab-heat",
    "aria-label": "Temperature",
    "data-testid": "lab-temperature",
  });
  let sliding = false;
  heat.oninput = () => {
    sliding = true;
    const temperature = TEMPERATURES[Number(heat.value)];
    say(degrees, String(temperature));
    app.queue.pass({ values: { temperature } });
    app.expect();
  };
  // back where it was, it tells no change
  heat.onpointerup = heat.onpointercancel = heat.onblur = () => (sliding = false);
  heat.onchange = () => {
    sliding = false;
    set({ temperature: TEMPERATURES[Number(heat.value)] });
  };
  const temperature = h("label", { class: "lab-choice" }, "temperature ", heat, degrees);
  const reset = h(
    "button",
    { type: "button", class: "sl-plain", onclick: () => app.act({ do: "standard" }) },
    "all standard",
  );
  const see = h(
    "button",
    { type: "button", class: "sl-plain", "data-testid": "lab-see", onclick: () => app.goTo("compare") },
    "see the difference",
  );
  const element = h(
    "div",
    { class: "lab-switches", role: "group", "aria-label": "Switches", "data-testid": "lab-switches" },
    positions.element,
    scale.element,
    causal.element,
    window_.element,
    padding.element,
    softmax.element,
    temperature,
    heads.element,
    see,
    reset,
  );

  return {
    element,
    draw() {
      const { switches, words, n_heads: n, direct, joined } = app.data;
      scale.set(switches.scale, !switches.scale);
      causal.set(switches.causal, switches.causal);
      positions.fill([
        ["none", "none"],
        ...(direct ? [] : [["sinusoidal", "sinusoidal"]]),
        ["rotary", "rotary"],
        ["alibi", "ALiBi"],
      ]);
      positions.set(switches.positions, switches.positions !== "none");
      softmax.set(switches.softmax, switches.softmax !== "softmax");
      window_.fill([
        ["", "all words"],
        ...Array.from({ length: words.length - 1 }, (_, i) => [String(i), i === 0 ? "itself" : `± ${i}`]),
      ]);
      window_.set(
        switches.window === null ? "" : String(Math.min(switches.window, words.length - 2)),
        switches.window !== null,
      );
      const counts = [1, 2, 3, 4].filter((count) => joined % count === 0);
      heads.fill(counts.map((count) => [String(count), `${count} × ${joined / count}`]));
      heads.set(String(n), false);
      heads.element.hidden = direct || counts.length < 2;
      padding.draw();
      if (!sliding) {
        heat.value = String(placeOf(switches.temperature));
        say(degrees, String(switches.temperature));
      }
      mark(temperature, "data-off", switches.temperature !== 1);
      reset.hidden = see.hidden = !app.data.compare.switched;
    },
  };
}

/** @param {string} words @param {(on: boolean) => void} changed @param {string} id */
function check(words, changed, id) {
  const box = h("input", { type: "checkbox", onchange: () => changed(box.checked), "data-testid": id });
  const element = h("label", { class: "sl-toggle lab-check" }, box, words);
  return {
    element,
    /** @param {boolean} on @param {boolean} unusual */
    set(on, unusual) {
      box.checked = on;
      mark(element, "data-unusual", unusual);
    },
  };
}

/** @param {string} words @param {string[][]} options @param {(value: string) => void} changed */
export function choice(words, options, changed) {
  const box = h("select", { onchange: () => changed(box.value), "data-testid": `lab-${words}` });
  const element = h("label", { class: "lab-choice" }, `${words} `, box);
  let filled = "";
  /** @param {string[][]} list */
  function fill(list) {
    const key = JSON.stringify(list);
    if (key === filled) return;
    filled = key;
    box.replaceChildren(...list.map(([value, label]) => h("option", { value }, label)));
  }
  fill(options);
  return {
    element,
    box,
    fill,
    /** @param {string} value @param {boolean} unusual */
    set(value, unusual) {
      box.value = value;
      mark(element, "data-unusual", unusual);
    },
  };
}

/** Words that nobody may look at. @param {Lab} app @param {(indices: number[]) => void} changed */
function createPadding(app, changed) {
  const button = h(
    "button",
    { type: "button", "aria-expanded": "false", "data-testid": "lab-padding" },
    "padding: none",
  );
  const panel = h("div", { class: "sl-pop lab-pop", hidden: true, role: "group", "aria-label": "Padding words" });
  const element = h("span", { class: "sl-anchor" }, button, panel);
  popover(button, panel, app.life.signal);
  let drawn = "";
  return {
    element,
    draw() {
      const {
        words,
        switches: { padding },
      } = app.data;
      say(button, `padding: ${padding.length ? padding.map((i) => words[i]).join(", ") : "none"}`);
      mark(button, "data-unusual", padding.length > 0);
      const key = JSON.stringify(words);
      if (key !== drawn) {
        drawn = key;
        panel.replaceChildren(
          h("p", { class: "sl-second" }, "Words that only fill the row: nobody may look at them."),
          ...words.map((word, i) => {
            const box = h("input", {
              type: "checkbox",
              "data-word": i,
              onchange: () =>
                changed([...panel.querySelectorAll("input")].flatMap((one, j) => (one.checked ? [j] : []))),
            });
            return h("label", { class: "sl-toggle" }, box, h("bdi", null, word));
          }),
        );
      }
      panel.querySelectorAll("input").forEach((box, i) => (box.checked = padding.includes(i)));
    },
  };
}
