/** Colours for code, as pieces of text with a class: never as HTML. A chunk of its own. */
import { createLowlight } from "lowlight";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import type { Element, Root, Text } from "hast";
import type { Piece } from "./highlight";

const low = createLowlight({
  bash, c, css, go, java, javascript, json, markdown, python, rust, typescript, xml, yaml,
});

export const knows = (language: string): boolean => low.registered(language);

export function pieces(text: string, language: string): Piece[] {
  const found: Piece[] = [];
  walk(low.highlight(language, text), "", found);
  return found;
}

function walk(node: Root | Element | Text, name: string, found: Piece[]): void {
  if (node.type === "text") {
    found.push({ text: node.value, name });
    return;
  }
  const own = node.type === "element" ? node.properties["className"] : undefined;
  const inner = Array.isArray(own) ? String(own[0]) : name;
  for (const child of node.children)
    if (child.type === "text" || child.type === "element") walk(child, inner, found);
}
