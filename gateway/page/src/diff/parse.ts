/**
 * Reads the output of `git diff` into files, hunks and lines.
 *
 * A generator, so that a patch of many megabytes can be read in slices. Own code because the
 * parsers on offer read all at once and do not undo git's quoting of names.
 */
import { finishNow } from "./slices";

export type LineKind = " " | "+" | "-";

export interface Line {
  kind: LineKind;
  text: string;
  /** Line numbers from 1; 0 where the line is not on that side. */
  old: number;
  new: number;
  /** The last line of a file that does not end with a newline. */
  noNewline?: boolean;
}

export interface Hunk {
  oldStart: number;
  oldLines: number;
  newStart: number;
  newLines: number;
  /** What git says the hunk is inside of. */
  heading: string;
  lines: Line[];
}

export type FileKind = "modified" | "added" | "deleted" | "renamed" | "copied";

export interface FileDiff {
  path: string;
  oldPath: string;
  kind: FileKind;
  binary: boolean;
  mode: { from: string; to: string } | null;
  hunks: Hunk[];
  added: number;
  removed: number;
  /** All of it but the index line: two files with the same body change the same way. */
  body: string;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/;
const STEP = 2000;

/** Yield now and then (nothing), and return the files at the end. */
export function* parsing(patch: string): Generator<undefined, FileDiff[]> {
  const files: FileDiff[] = [];
  let file: FileDiff | null = null;
  let hunk: Hunk | null = null;
  let [oldLeft, newLeft, old, now] = [0, 0, 0, 0];
  let steps = 0;
  let body: string[] = [];
  let position = 0;

  const finish = (): void => {
    if (file) file.body = body.join("\n");
    body = [];
  };
  while (position < patch.length) {
    if (++steps % STEP === 0) yield;
    let end = patch.indexOf("\n", position);
    if (end < 0) end = patch.length;
    const line = patch.slice(position, end);
    position = end + 1;
    if (hunk && line.startsWith("\\")) {
      const last = hunk.lines.at(-1);
      if (last) last.noNewline = true;
      body.push(line);
      continue;
    }
    if (hunk && file && (oldLeft > 0 || newLeft > 0)) {
      body.push(line);
      const kind = line[0] === "+" || line[0] === "-" ? line[0] : " ";
      const text = line.slice(1);
      if (kind === "+") {
        hunk.lines.push({ kind, text, old: 0, new: now++ });
        newLeft--;
        file.added++;
      } else if (kind === "-") {
        hunk.lines.push({ kind, text, old: old++, new: 0 });
        oldLeft--;
        file.removed++;
      } else {
        hunk.lines.push({ kind, text, old: old++, new: now++ });
        oldLeft--;
        newLeft--;
      }
      continue;
    }
    if (line.startsWith("diff --git ")) {
      finish();
      hunk = null;
      const path = nameOf(line);
      file = {
        path, oldPath: path, kind: "modified", binary: false, mode: null,
        hunks: [], added: 0, removed: 0, body: "",
      };
      files.push(file);
      continue;
    }
    if (!file) continue;
    const found = HUNK.exec(line);
    if (found) {
      hunk = {
        oldStart: Number(found[1]), oldLines: Number(found[2] ?? 1),
        newStart: Number(found[3]), newLines: Number(found[4] ?? 1),
        heading: found[5] ?? "", lines: [],
      };
      [oldLeft, newLeft, old, now] = [hunk.oldLines, hunk.newLines, hunk.oldStart, hunk.newStart];
      file.hunks.push(hunk);
      body.push(line);
      continue;
    }
    if (!line.startsWith("index ")) body.push(line);
    header(file, line);
  }
  finish();
  return files;
}

function header(file: FileDiff, line: string): void {
  const after = (words: string): string | null =>
    line.startsWith(words) ? line.slice(words.length) : null;
  let rest: string | null;
  if ((rest = after("new file mode ")) !== null) {
    file.kind = "added";
    if (rest !== "100644") file.mode = { from: "", to: rest };
  } else if (after("deleted file mode ") !== null) file.kind = "deleted";
  else if ((rest = after("old mode ")) !== null) file.mode = { from: rest, to: "" };
  else if ((rest = after("new mode ")) !== null) file.mode = { from: file.mode?.from ?? "", to: rest };
  else if ((rest = after("rename from ")) !== null) [file.kind, file.oldPath] = ["renamed", unquote(rest)];
  else if ((rest = after("copy from ")) !== null) [file.kind, file.oldPath] = ["copied", unquote(rest)];
  else if ((rest = after("rename to ") ?? after("copy to ")) !== null) file.path = unquote(rest);
  else if (line === "GIT binary patch" || line.startsWith("Binary files ")) file.binary = true;
  else if ((rest = after("+++ ")) !== null) {
    const path = side(rest);
    if (path !== null) file.path = path;
  } else if ((rest = after("--- ")) !== null) {
    const path = side(rest);
    if (path !== null) file.oldPath = path;
  }
}

/** Name behind `---` or `+++` without its `a/` or `b/`; null for `/dev/null`. */
function side(text: string): string | null {
  const name = unquote(text.replace(/\t$/, ""));
  return name === "/dev/null" ? null : name.slice(2);
}

/** Name from the first line, for files that have no other (empty ones, changes of mode). */
function nameOf(line: string): string {
  const rest = line.slice("diff --git ".length);
  if (rest.endsWith('"')) {
    const start = rest.lastIndexOf(' "');
    return unquote(rest.slice(start + 1)).slice(2);
  }
  // Without a rename both names are the same: "a/NAME b/NAME".
  return rest.slice(2, (rest.length - 1) / 2);
}

const ESCAPES: Record<string, number> = {
  a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, "\\": 92,
};

/** Undo git's quoting of names: C escapes, and octal for the bytes of other characters. */
export function unquote(name: string): string {
  if (!(name.startsWith('"') && name.endsWith('"') && name.length > 1)) return name;
  const inner = name.slice(1, -1);
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let at = 0; at < inner.length; at++) {
    const character = inner[at] ?? "";
    if (character !== "\\") {
      const whole = String.fromCodePoint(inner.codePointAt(at) ?? 0);
      bytes.push(...encoder.encode(whole));
      at += whole.length - 1;
      continue;
    }
    const octal = /^[0-3][0-7]{2}/.exec(inner.slice(at + 1, at + 4));
    if (octal) bytes.push(Number.parseInt(octal[0], 8));
    else bytes.push(ESCAPES[inner[at + 1] ?? ""] ?? 63);
    at += octal ? 3 : 1;
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

/** Read all of a patch at once. */
export function parse(patch: string): FileDiff[] {
  return finishNow(parsing(patch));
}
