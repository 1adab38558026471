/**
 * A figure of plotly inside a view: its axes, zoom and picture are plotly's, its colours and type the page's.
 *
 * The server builds the figure (pages/shared/parts/figures.py) and names colours as variables of the page. plotly.js
 * weighs 4.8 MB and comes from this server when the first figure is shown, once. What moves with the pointer or the
 * scrubber is drawn by the view over the figure, at the places that `at` gives: nothing of plotly runs for it.
 *
 * @typedef {{data: Record<string, any>[], layout: Record<string, any>}} Figure  as plotly.js takes it
 * @typedef {{x: number, y: number, w: number, h: number}} Box  CSS pixels from the corner of the figure's element
 * @typedef {import("./scale.js").Theme} Theme
 */
import { appRoot } from "./addresses.js";
import { h, mark, say } from "./dom.js";
import { fromBase64 } from "./wire.js";

/** The size of a saved picture, CSS pixels, and how much sharper than that it is. */
const PICTURE = { width: 900, height: 560, scale: 2 };
const VARIABLE = /^var\((--[\w-]+)\)$/;
const POINTER = { width: 24, height: 24, path: "M5 2l14 12-6 .6 3.5 6.6-2.6 1.3-3.4-6.7L5 20z" };

/** @type {Promise<any> | null} */
let loading = null;

/** plotly.js, fetched when it is first wanted. @param {string} address  below the app's root @returns {Promise<any>} */
function plotly(address) {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: new URL(address, appRoot()).href });
    script.onload = () => resolve(/** @type {any} */ (window).Plotly);
    script.onerror = () => {
      script.remove();
      loading = null; // the next one asks again
      reject(new Error("The server did not answer. Check the connection, then try again."));
    };
    document.head.append(script);
  });
  return loading;
}

/** The numbers of a typed array of plotly's; a plain array stays. @param {any} values @returns {ArrayLike<number>} */
export function numbers(values) {
  if (values?.bdata === undefined) return values;
  const bytes = fromBase64(values.bdata);
  const Kind = { f4: Float32Array, i4: Int32Array, i2: Int16Array, i1: Int8Array, f8: Float64Array }[
    /** @type {"f4"} */ (values.dtype)
  ];
  if (!Kind) throw new Error(`There are no typed arrays of ${values.dtype} here.`);
  return new Kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / Kind.BYTES_PER_ELEMENT);
}

/**
 * The same with every "var(--name)" replaced by the colour that it stands for. Arrays of numbers are left as they are.
 *
 * @template T
 * @param {T} part @param {(name: string) => string} colour @returns {T}
 */
export function coloured(part, colour) {
  if (typeof part === "string") {
    const name = VARIABLE.exec(part)?.[1];
    return /** @type {any} */ (name ? colour(name) : part);
  }
  if (Array.isArray(part)) return /** @type {any} */ (part.map((one) => coloured(one, colour)));
  if (part === null || typeof part !== "object" || ArrayBuffer.isView(part)) return part;
  return /** @type {any} */ (
    Object.fromEntries(Object.entries(part).map(([name, value]) => [name, coloured(value, colour)]))
  );
}

/** plotly writes its rules into the page; a view in a shadow root needs them there. @param {Node} root */
function dress(root) {
  const rules = /** @type {HTMLStyleElement | null} */ (document.getElementById("plotly.js-style-global"))?.sheet;
  if (!(root instanceof ShadowRoot) || !rules || root.adoptedStyleSheets.some((sheet) => dresses.has(sheet))) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync([...rules.cssRules].map((rule) => rule.cssText).join("\n"));
  dresses.add(sheet);
  root.adoptedStyleSheets.push(sheet);
}

/** @type {WeakSet<CSSStyleSheet>} */
const dresses = new WeakSet();

/**
 * @param {{testid: string, free: string, placed: (drawn: any) => void, zoomed?: () => void}} how
 *   free: what a press does while plotly neither zooms nor pans, on the button that goes back to it;
 *   placed: the axes of this figure stand where they stay, draw over them; zoomed: the reader has changed what they
 *   show
 */
export function createFigure({ testid, free, placed, zoomed = () => {} }) {
  const plot = h("div", { class: "sl-figure-plot" });
  const over = h("div", { class: "sl-figure-over", "aria-hidden": "true" });
  const told = h("p", { class: "sl-second" });
  const again = h("button", { type: "button", onclick: () => retry() }, "Try again");
  const trouble = h("div", { class: "sl-figure-told", hidden: true }, told, again);
  const element = h("div", { class: "sl-figure", "data-testid": testid }, plot, over, trouble);
  /** What is on the screen, and what is wanted there. */
  let [shown, wanted] = ["", ""];
  let retry = () => {};
  let listening = false;
  /** @type {Figure} */
  let drawn = { data: [], layout: {} };
  /** @type {any} */
  let Plotly = null;
  /** @type {{x: any, y: any} | null} plotly's axes, once they stand */
  let axes = null;
  /** What a saved picture is called, and what stands over it. */
  let picture = { name: "sightline", title: "", axes: "" };
  const probe = h("i", { class: "sl-figure-probe" });
  element.append(probe);

  /** A colour as plotly reads it: light-dark() and mixtures resolved. @param {string} name */
  function resolve(name) {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  }

  const config = {
    displaylogo: false,
    displayModeBar: true,
    showTips: false,
    doubleClick: "reset",
    modeBarButtons: [
      [
        {
          name: "free",
          title: free,
          attr: "dragmode",
          val: false,
          icon: POINTER,
          click: (/** @type {any} */ of) => Plotly.relayout(of, "dragmode", false),
        },
        "zoom2d",
        "pan2d",
      ],
      ["zoomIn2d", "zoomOut2d", "resetScale2d"],
      [
        {
          name: "toImage",
          title: "Save as PNG",
          get icon() {
            return Plotly.Icons.camera;
          },
          click: (/** @type {any} */ of) => save(of),
        },
      ],
    ],
  };

  /**
   * The figure as it stands, with its title and the names of its curves: in a file they have to say it themselves.
   * @param {any} of
   */
  function save({ data, layout }) {
    const title = { text: picture.title, x: 0, xanchor: "left", xref: "paper", font: { color: resolve("--c-ink") } };
    return Plotly.downloadImage(
      { data, layout: { ...layout, width: undefined, height: undefined, title, showlegend: data.length > 1 } },
      { format: "png", filename: picture.name, ...PICTURE },
    );
  }

  function stand() {
    const full = /** @type {any} */ (plot)._fullLayout; // nowhere else does plotly say where it drew
    axes = { x: full.xaxis, y: full.yaxis };
    mark(element, "data-drag", full.dragmode || null);
    mark(element, "data-moving", false);
    placed(drawn);
  }

  return {
    element,
    plot,
    over,
    /** What plotly does when the pointer is pressed and moved; "" if nothing: then it is the view's. */
    get drag() {
      return element.dataset.drag ?? "";
    },
    /** The part of the x axis that is shown. @returns {[number, number] | null} */
    get acrossRange() {
      return axes && [axes.x.range[0], axes.x.range[1]];
    },
    /** Where the axes are; null before there are any. @returns {Box | null} */
    get box() {
      return axes && { x: axes.x._offset, y: axes.y._offset, w: axes.x._length, h: axes.y._length };
    },
    /** Where two numbers lie, CSS pixels. @param {number} x @param {number} y */
    at(x, y) {
      return axes ? { x: axes.x._offset + axes.x.l2p(x), y: axes.y._offset + axes.y.l2p(y) } : { x: NaN, y: NaN };
    },
    /** The number on the x axis at a place. @param {number} x  CSS pixels from the figure's left edge */
    across(x) {
      return axes ? axes.x.p2l(x - axes.x._offset) : NaN;
    },
    /** True if a place lies between the axes, or on them. @param {{x: number, y: number}} place */
    holds({ x, y }) {
      const box = this.box;
      return Boolean(box && x >= box.x - 1 && x <= box.x + box.w + 1 && y >= box.y - 1 && y <= box.y + box.h + 1);
    },
    /**
     * Draw a figure, unless it stands already.
     *
     * @param {string} key  what the figure depends on: the same key draws nothing
     * @param {string} address of plotly.js @param {Theme} theme @param {number} height in multiples of the type's size
     * @param {() => Promise<Figure>} get  the figure, with variables for colours; asked for only if it is wanted
     * @param {{name: string, title: string, axes: string}} of
     *   name and title: of the saved picture; axes: as long as it is the same, what the reader has zoomed to stays
     */
    async show(key, address, theme, height, get, of) {
      const width = Math.floor(element.clientWidth);
      const high = Math.round(theme.size * height);
      const all = [key, width, high, theme.size, theme.ink, theme.paper, theme.focus].join("|");
      if (all === wanted || width < 80) return;
      wanted = all;
      if (all === shown) {
        // Back to what stands, before another has come.
        mark(element, "aria-busy", false);
        return stand();
      }
      retry = () => {
        wanted = "";
        this.show(key, address, theme, height, get, of);
      };
      element.style.height = `${high}px`;
      mark(element, "aria-busy", true);
      if (of.axes !== picture.axes) mark(element, "data-moving", true); // what lies over it is of other axes already
      try {
        const [found, figure] = await Promise.all([plotly(address), get()]);
        if (wanted !== all || !element.isConnected) return;
        Plotly = found;
        picture = of;
        dress(element.getRootNode());
        const { data, layout } = coloured(figure, resolve);
        const font = { ...layout.font, family: theme.ui, size: theme.size };
        const modebar = { ...layout.modebar, uirevision: "kept" };
        const fitted = { ...sized(layout, theme.size), font, modebar, width, height: high, uirevision: of.axes };
        shown = all;
        drawn = figure;
        await Plotly.react(plot, data, fitted, config);
        if (!listening) {
          listening = true;
          /** @type {any} */ (plot).on("plotly_afterplot", stand);
          /** @type {any} */ (plot).on("plotly_relayouting", () => mark(element, "data-moving", true));
          /** @type {any} */ (plot).on("plotly_relayout", zoomed);
        }
        if (shown !== all) return; // another one stands already
        trouble.hidden = true;
        mark(element, "data-drawn", key);
        stand();
      } catch (error) {
        // else it stays wanted: asked for again by the button, not by every step of a scrubber
        if (wanted !== all) return;
        shown = "";
        say(told, `There is no picture: ${/** @type {Error} */ (error).message} The table has the same numbers.`);
        trouble.hidden = false;
      } finally {
        if (wanted === all) mark(element, "aria-busy", false);
      }
    },
    /** Show this part of the x axis, as another figure does. @param {[number, number]} range */
    setAcross(range) {
      if (axes && axes.x.range.some((/** @type {number} */ end, /** @type {number} */ i) => end !== range[i]))
        Plotly.relayout(plot, { "xaxis.range": [...range] });
    },
    /** Other words at the points of one curve. @param {number} at  its place in the figure @param {string[]} text */
    setText(at, text) {
      const now = /** @type {any} */ (plot).data?.[at]?.text ?? [];
      if (now.join("\n") !== text.join("\n")) Plotly.restyle(plot, { text: [text] }, [at]);
    },
    destroy() {
      wanted = "";
      if (listening) Plotly.purge(plot);
    },
  };
}

/**
 * The layout for a type of this size: names of axes are as large as the numbers, and margins, which the server gives
 * for a type of 14 pixels, hold both.
 *
 * @param {Record<string, any>} layout @param {number} size  CSS pixels
 */
export function sized(layout, size) {
  const axis = (/** @type {any} */ of) => ({ ...of, title: { ...of.title, font: { ...of.title?.font, size } } });
  const margin = Object.fromEntries(
    Object.entries(layout.margin).map(([side, pixels]) => [side, Math.round((pixels * size) / 14)]),
  );
  return { ...layout, margin, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis) };
}
