/**
 * Files to keep: fetched from the export routes and handed to the browser's own download.
 *
 * @typedef {import("../explore/app.js").App} App
 * @typedef {import("./options").Choice} Choice
 */
import { h } from "./dom.js";
import { payload } from "./sync.js";

/** The routes, by the part of the address after `export/`. */
export const FILES = [
  { name: "png", label: "Heatmap, PNG", says: "for slides", end: "png", path: heatmap },
  { name: "svg", label: "Heatmap, SVG", says: "for print", end: "svg", path: heatmap },
  {
    name: "csv",
    label: "Weights, CSV",
    says: "for a spreadsheet",
    end: "csv",
    path: (/** @type {string} */ at) => `${at}/weights.csv`,
  },
  {
    name: "npz",
    label: "Weights, NPZ",
    says: "for NumPy",
    end: "npz",
    path: (/** @type {string} */ at) => `${at}/weights.npz`,
  },
  {
    name: "trace",
    label: "Trace file",
    says: "opens again without the model",
    end: "safetensors",
    path: () => "trace.safetensors",
  },
  { name: "script", label: "Python script", says: "the code that makes this view", end: "py", path: script },
];

/** @param {string} at @param {Choice} choice */
function heatmap(at, choice) {
  const { per_head_scale: own, query, key } = choice;
  const asked = Object.entries({ scale: own ? "head" : null, q: query, k: key }).filter(([, value]) => value !== null);
  const params = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
  return `${at}/heatmap.svg${params.size ? `?${params}` : ""}`;
}

/** @param {string} _at @param {Choice} choice */
function script(_at, choice) {
  const asked = Object.entries({ layer: choice.layer, head: choice.head, query: choice.query }).filter(
    ([, value]) => value !== null,
  );
  return `script.py?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}`;
}

/**
 * "sightline-layer2-head3.svg"
 * @param {string} name
 * @param {number | string} layer
 * @param {number | string} head
 * @param {string} end
 */
export function fileName(name, layer, head, end) {
  if (name === "trace") return `sightline-trace.${end}`;
  const where = `layer${layer}-head${head}`.replace(/[^\w-]+/g, "-");
  return `sightline-${where}.${end}`;
}

/** @param {App} app @param {typeof FILES[number]} file */
export async function save(app, file) {
  const { layer, head } = app.selection;
  if (!app.source?.file) throw new Error("This page carries no files.");
  const at = `${encodeURIComponent(layer).replaceAll("%3A", ":")}/${head}`;
  let blob = await app.source.file(file.path(at, payload(app.selection, app.options, app.queries, app.keys)));
  if (file.name === "png") blob = await rasterise(blob);
  download(blob, fileName(file.name, layer, head, file.end));
}

/** Draw an SVG at twice its size. @param {Blob} svg @returns {Promise<Blob>} */
export async function rasterise(svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth * 2;
    canvas.height = image.naturalHeight * 2;
    /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(
      image,
      0,
      0,
      canvas.width,
      canvas.height,
    );
    return await new Promise((resolve, reject) => {
      canvas.toBlob(
        (blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large for this browser."))),
        "image/png",
      );
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 30000);
}
