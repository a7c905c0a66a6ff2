/**
 * A parsed document as elements of the page. It was read without a window: nothing in it ran or
 * was loaded. Of it the page takes the elements and attributes that a report has, and no others, so
 * that what it shows can do nothing, whatever the document says.
 */
import { type ComponentChildren, h } from "preact";

const ELEMENTS = new Set(
  (
    "a article caption circle code dd details div dl dt figcaption figure g h1 h2 header line p pre rect " +
    "section small span summary svg table tbody td text th thead title tr"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "aria-label class cx cy height r role scope tabindex text-anchor title viewBox width x x1 x2 y y1 y2"
  ).split(" "),
);
/** Links lead to runs of this very page. */
const LINK = /^\/#\/runs\//;

export function drawn(node: Node): ComponentChildren {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue;
  if (!(node instanceof Element)) return null;
  const children = [...node.childNodes].map(drawn);
  if (!ELEMENTS.has(node.localName)) return null;
  const attributes: Record<string, string> = {};
  for (const { name, value } of node.attributes) {
    if (ATTRIBUTES.has(name)) attributes[name] = value;
    else if (name === "href" && LINK.test(value)) attributes["href"] = value.slice(1);
  }
  return h(node.localName, attributes, ...children);
}
