/**
 * A part of the page as SVG, as it stands there: texts stay texts, canvases become images, so that a slide or a
 * printing program can take it. (A picture of the page within an SVG, `foreignObject`, only browsers show.)
 *
 * @typedef {{x: number, y: number}} Corner  of the part, from which places are counted
 */

const MARGIN = 24;
const NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
/** Not of the part, but of its being on a page. */
const LEFT_OUT = ".sl-quiet, [hidden], script, style, template, .sl-tip";

/**
 * @param {HTMLElement} part
 * @param {string[]} lines  over it; the first is its title
 * @returns {string} an SVG file
 */
export function drawn(part, lines) {
  const style = getComputedStyle(part);
  const size = parseFloat(style.fontSize);
  const box = part.getBoundingClientRect();
  const paper = colour(paperOf(part));
  const top = MARGIN + lines.length * size * 1.5 + (lines.length ? size * 0.5 : 0);
  const widest = Math.max(
    box.width,
    ...lines.map((line, i) => {
      ruler.font = `${i ? 400 : 600} ${size}px ${style.fontFamily}`;
      return ruler.measureText(line).width;
    }),
  );
  const width = Math.ceil(widest + 2 * MARGIN);
  const height = Math.ceil(top + box.height + MARGIN);
  const heading = lines.map(
    (line, i) =>
      `<text x="${MARGIN}" y="${round(MARGIN + size * (1.5 * i + 1))}" font-family="${xml(style.fontFamily)}" ` +
      `font-size="${size}" font-weight="${i ? 400 : 600}" fill="${colour(style.color)}">${xml(line)}</text>`,
  );
  const drawing = new Drawing(box);
  drawing.element(part);
  return [
    `<svg ${NAMESPACES} width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${xml(lines[0] ?? "")}</title>`,
    `<rect width="100%" height="100%" fill="${paper}"/>`,
    ...heading,
    `<g transform="translate(${MARGIN} ${round(top)})">`,
    ...drawing.parts,
    ...drawing.over,
    "</g></svg>",
  ].join("\n");
}

class Drawing {
  /** @param {Corner} corner */
  constructor(corner) {
    this.corner = corner;
    /** @type {string[]} */
    this.parts = [];
    /** Outlines lie over what stands beside them. @type {string[]} */
    this.over = [];
    this.named = 0;
  }

  /** @param {DOMRect} box */
  place(box) {
    return (
      `x="${round(box.x - this.corner.x)}" y="${round(box.y - this.corner.y)}" width="${round(box.width)}" ` +
      `height="${round(box.height)}"`
    );
  }

  /** An element with all that is in it. @param {Element} element */
  element(element) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden" || element.matches(LEFT_OUT)) return;
    const box = element.getBoundingClientRect();
    const faint = Number(style.opacity) < 1 ? ` opacity="${style.opacity}"` : "";
    const clipped = /auto|hidden|scroll|clip/.test(style.overflowX + style.overflowY) ? this.clip(box) : "";
    if (faint || clipped) this.parts.push(`<g${faint}${clipped}>`);
    if (box.width && box.height) {
      this.ground(box, style);
      this.borders(box, style);
    }
    if (element instanceof HTMLCanvasElement) this.image(box, element, style);
    else if (element instanceof SVGSVGElement) this.svg(box, element);
    else if (element instanceof HTMLSelectElement) this.field(box, style, element.selectedOptions[0]?.text ?? "");
    else if (element instanceof HTMLInputElement) {
      if (element.type === "text" || element.type === "number") this.field(box, style, element.value);
    } else
      for (const child of element.childNodes) {
        if (child instanceof Text) this.text(child, style);
        else if (child instanceof Element) this.element(child);
      }
    if (faint || clipped) this.parts.push("</g>");
  }

  /** @param {DOMRect} box */
  clip(box) {
    const name = `clip${this.named++}`;
    this.parts.push(`<clipPath id="${name}"><rect ${this.place(box)}/></clipPath>`);
    return ` clip-path="url(#${name})"`;
  }

  /**
   * What an element stands on: a colour, a scale of colours, the hatching of what is masked.
   * @param {DOMRect} box
   * @param {CSSStyleDeclaration} style
   */
  ground(box, style) {
    const round = Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.height / 2);
    const put = (/** @type {string} */ fill) =>
      this.parts.push(`<rect ${this.place(box)} rx="${round}" fill="${fill}"/>`);
    const under = colour(style.backgroundColor);
    if (under !== "none") put(under);
    const image = style.backgroundImage;
    const colours = [...image.matchAll(/(?:rgba?|color|oklab|oklch)\([^)]*\)/g)].map(([text]) => colour(text));
    const name = `fill${this.named++}`;
    if (image.startsWith("repeating-linear-gradient")) {
      const line = colours.find((one) => one !== "none") ?? "#888";
      this.parts.push(
        `<pattern id="${name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
          `<line x1="0" y1="0" x2="0" y2="6" stroke="${line}" stroke-width="1.6"/></pattern>`,
      );
      put(`url(#${name})`);
    } else if (image.startsWith("linear-gradient(90deg") || image.startsWith("linear-gradient(to right")) {
      const stops = colours.map((one, i) => `<stop offset="${i / (colours.length - 1)}" stop-color="${one}"/>`);
      this.parts.push(`<linearGradient id="${name}">${stops.join("")}</linearGradient>`);
      put(`url(#${name})`);
    } else if (image.startsWith("linear-gradient(to right top") || image.startsWith("linear-gradient(to top right")) {
      const line = colours.find((one) => one !== "none") ?? "#888"; // the sign of no number: a line across the cell
      const { x, y } = { x: box.x - this.corner.x, y: box.y - this.corner.y };
      this.parts.push(`<path d="M${x} ${y}l${box.width} ${box.height}" stroke="${line}" stroke-width="1.2"/>`);
    }
  }

  /** @param {DOMRect} box @param {CSSStyleDeclaration} style */
  borders(box, style) {
    const sides = /** @type {const} */ (["Top", "Right", "Bottom", "Left"]).map((side) => ({
      width: style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]),
      stroke: colour(style[`border${side}Color`]),
      dashed: /dashed|dotted/.test(style[`border${side}Style`]),
    }));
    const [x, y] = [box.x - this.corner.x, box.y - this.corner.y];
    const ends = [
      [x, y, x + box.width, y],
      [x + box.width, y, x + box.width, y + box.height],
      [x, y + box.height, x + box.width, y + box.height],
      [x, y, x, y + box.height],
    ];
    sides.forEach(({ width, stroke, dashed }, i) => {
      if (!width || stroke === "none") return;
      const [x1, y1, x2, y2] = ends[i].map(round);
      const dash = dashed ? ' stroke-dasharray="4 3"' : "";
      this.parts.push(
        `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${stroke}" stroke-width="${width}"${dash}/>`,
      );
    });
    if (style.outlineStyle === "none" || !parseFloat(style.outlineWidth)) return;
    const out = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth) / 2;
    const around = new DOMRect(box.x - out, box.y - out, box.width + 2 * out, box.height + 2 * out);
    this.over.push(
      `<rect ${this.place(around)} rx="3" fill="none" stroke="${colour(style.outlineColor)}" ` +
        `stroke-width="${style.outlineWidth}"/>`,
    );
  }

  /** @param {DOMRect} box @param {HTMLCanvasElement} canvas @param {CSSStyleDeclaration} style */
  image(box, canvas, style) {
    if (!canvas.width || !canvas.height || !box.width) return;
    const sharp = style.imageRendering === "pixelated" ? ' style="image-rendering:pixelated"' : "";
    this.parts.push(
      `<image ${this.place(box)} preserveAspectRatio="none"${sharp} xlink:href="${canvas.toDataURL("image/png")}"/>`,
    );
  }

  /**
   * Lines and words that are SVG already, with the looks that the page's style sheet gives them.
   * @param {DOMRect} box
   * @param {SVGSVGElement} svg
   */
  svg(box, svg) {
    const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
    const [theirs, ours] = [svg, copy].map((one) => [...one.querySelectorAll("*")]);
    theirs.forEach((one, i) => {
      const style = getComputedStyle(one);
      for (const name of ["fill", "stroke"]) ours[i].setAttribute(name, colour(style.getPropertyValue(name)));
      for (const name of [
        "stroke-width",
        "stroke-dasharray",
        "opacity",
        "font-family",
        "font-size",
        "font-weight",
        "text-anchor",
      ])
        ours[i].setAttribute(name, style.getPropertyValue(name));
    });
    const { x, y } = this.corner;
    const place = { x: box.x - x, y: box.y - y, width: box.width, height: box.height };
    for (const [name, value] of Object.entries(place)) copy.setAttribute(name, String(round(value)));
    this.parts.push(new XMLSerializer().serializeToString(copy));
  }

  /** What stands in a field. @param {DOMRect} box @param {CSSStyleDeclaration} style @param {string} text */
  field(box, style, text) {
    const x = box.x + parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth);
    this.line(text, new DOMRect(x, box.y, 0, box.height), style);
  }

  /** @param {Text} node @param {CSSStyleDeclaration} style */
  text(node, style) {
    const kept = style.whiteSpaceCollapse?.startsWith("preserve") || style.whiteSpace.startsWith("pre");
    for (const { text, box } of linesOf(node))
      if (text.trim()) this.line(kept ? text : text.replace(/\s+/g, " "), box, style);
  }

  /**
   * One line of text; with a width it keeps it, whatever the fonts of another machine.
   * @param {string} text
   * @param {DOMRect} box
   * @param {CSSStyleDeclaration} style
   */
  line(text, box, style) {
    const { fontStyle, fontWeight, fontSize, fontFamily } = style;
    ruler.font = `${fontStyle} ${fontWeight} ${fontSize} ${fontFamily}`;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = ruler.measureText(text);
    const x = round(box.x - this.corner.x);
    const y = round(box.y - this.corner.y + (box.height - up - down) / 2 + up);
    const exact = box.width > 4 ? ` textLength="${round(box.width)}" lengthAdjust="spacingAndGlyphs"` : "";
    const slant = fontStyle === "normal" ? "" : ` font-style="${fontStyle}"`;
    this.parts.push(
      `<text x="${x}" y="${y}" font-family="${xml(fontFamily)}" font-size="${parseFloat(fontSize)}" ` +
        (`font-weight="${fontWeight}"${slant} fill="${colour(style.color)}"${exact} ` +
          `xml:space="preserve">${xml(text)}</text>`),
    );
    if (!style.textDecorationLine.includes("underline") || !box.width) return;
    const dots = style.textDecorationStyle === "dotted" ? ' stroke-dasharray="1 2"' : "";
    this.parts.push(
      `<line x1="${x}" y1="${y + 3}" x2="${round(x + box.width)}" y2="${y + 3}" ` +
        `stroke="${colour(style.color)}"${dots}/>`,
    );
  }
}

/** The lines in which a text stands on the page, word by word. @param {Text} node */
function linesOf(node) {
  /** @type {{text: string, box: DOMRect}[]} */
  const lines = [];
  const range = document.createRange();
  for (const { 0: word, index } of node.data.matchAll(/\s+|\S+/g)) {
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const boxes = [...range.getClientRects()].filter((one) => one.width > 0);
    if (!boxes.length) continue;
    const last = lines.at(-1);
    const [first] = boxes;
    if (last && boxes.length === 1 && Math.abs(last.box.y - first.y) < 2) {
      const right = Math.max(last.box.right, first.right);
      last.text += word;
      last.box = new DOMRect(
        Math.min(last.box.x, first.x),
        first.y,
        right - Math.min(last.box.x, first.x),
        first.height,
      );
    } else lines.push({ text: word, box: boxes.length === 1 ? first : range.getBoundingClientRect() });
  }
  return lines;
}

/** The first ground that is not transparent, from here outwards. @param {Element} element */
function paperOf(element) {
  for (let at = /** @type {Element | null} */ (element); at;) {
    const { backgroundColor } = getComputedStyle(at);
    if (colour(backgroundColor) !== "none") return backgroundColor;
    const root = at.getRootNode();
    at = at.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
  }
  return "rgb(255, 255, 255)";
}

const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
/** @type {Map<string, string>} */
const colours = new Map();

/** A colour of the page as every program reads it; "none" if nothing of it is seen. @param {string} text */
function colour(text) {
  const known = colours.get(text);
  if (known !== undefined) return known;
  const dot = /** @type {CanvasRenderingContext2D} */ (
    Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d")
  );
  dot.fillStyle = "rgba(0, 0, 0, 0)";
  dot.fillStyle = text;
  dot.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data;
  const made = a === 0 ? "none" : a === 255 ? `rgb(${r},${g},${b})` : `rgba(${r},${g},${b},${round(a / 255)})`;
  colours.set(text, made);
  return made;
}

/** @param {string} text */
function xml(text) {
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // What XML knows no sign for would make the file unreadable.
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"]/g, (sign) => signs[/** @type {"&"} */ (sign)]);
}

/** @param {number} x */
function round(x) {
  return Math.round(x * 100) / 100;
}
