/** The way to the highlighter: nothing of it is loaded until code is shown. */
import { signal } from "@preact/signals";

export interface Piece {
  text: string;
  /** A class of highlight.js, or nothing. */
  name: string;
}

type Highlighter = typeof import("./highlighter");

/** Set once it has been loaded; code is plain until then. */
const highlighter = signal<Highlighter | null>(null);
let asked = false;

const LONGEST = 20_000;

const EXTENSIONS: Record<string, string> = {
  py: "python", pyi: "python", js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript",
  ts: "typescript", tsx: "typescript", mts: "typescript", sh: "bash", bash: "bash", zsh: "bash",
  json: "json", yml: "yaml", yaml: "yaml", md: "markdown", html: "xml", xml: "xml", svg: "xml", vue: "xml",
  css: "css", scss: "css", go: "go", rs: "rust", java: "java", kt: "java", c: "c", h: "c", cc: "c", cpp: "c", hpp: "c",
};

export function languageOf(path: string): string {
  return EXTENSIONS[path.slice(path.lastIndexOf(".") + 1).toLowerCase()] ?? "";
}

/** Return `text` in coloured pieces, or in one where there is nothing to colour. */
export function highlight(text: string, language: string): Piece[] {
  const plain = [{ text, name: "" }];
  if (!language || text.length > LONGEST) return plain;
  const found = highlighter.value;
  if (!found) {
    if (!asked) {
      asked = true;
      import("./highlighter").then(
        (module) => {
          highlighter.value = module;
        },
        () => undefined,
      );
    }
    return plain;
  }
  return found.knows(language) ? found.pieces(text, language) : plain;
}
