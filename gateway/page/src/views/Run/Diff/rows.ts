/** Files of a patch, or of two, as rows to be shown one under the other. */
import { comparePair, type Cell, type FilePair, type PairRow } from "../../../diff/compare";
import type { FileDiff, Hunk, Line } from "../../../diff/parse";
import { languageOf } from "../../../text/highlight";

export interface FileRow {
  t: "file";
  key: string;
  path: string;
  file: FileDiff | null;
  pair: FilePair | null;
  collapsed: boolean;
}
export interface GapRow {
  t: "gap";
  key: string;
  text: string;
}
export interface LineRow {
  t: "line";
  key: string;
  line: Line;
  /** The line that it replaces, or that replaces it. */
  mate: string | null;
  language: string;
}
export interface PairedRow {
  t: "pair";
  key: string;
  left: Cell | null;
  right: Cell | null;
  /** Both attempts have it; null where a side is the base. */
  same: boolean | null;
  language: string;
}
export interface NoteRow {
  t: "note";
  key: string;
  text: string;
}
export type DiffRow = FileRow | GapRow | LineRow | PairedRow | NoteRow;

export const sizeOf = (file: FileDiff): number => file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);

/** Files to begin with folded: whatever comes after so many lines or files. */
export function foldedAtFirst(files: { path: string; lines: number }[]): Set<string> {
  const folded = new Set<string>();
  let [lines, count] = [0, 0];
  for (const file of files) {
    if ((lines > 0 && lines + file.lines > 20_000) || count >= 300) folded.add(file.path);
    else {
      lines += file.lines;
      count++;
    }
  }
  return folded;
}

export function patchRows(files: readonly FileDiff[], split: boolean, folded: ReadonlySet<string>): DiffRow[] {
  const rows: DiffRow[] = [];
  for (const file of files) {
    const collapsed = folded.has(file.path);
    const id = file.path;
    rows.push({ t: "file", key: `f ${id}`, path: file.path, file, pair: null, collapsed });
    if (collapsed) continue;
    for (const text of notes(file)) rows.push({ t: "note", key: `n ${id} ${text}`, text });
    const language = languageOf(file.path);
    let end = 1;
    file.hunks.forEach((hunk, at) => {
      const start = hunk.oldLines === 0 ? hunk.oldStart + 1 : hunk.oldStart;
      const gap = gapText(start - end, hunk.heading);
      if (gap) rows.push({ t: "gap", key: `g ${id} ${at}`, text: gap });
      end = start + hunk.oldLines;
      if (split) splitHunk(rows, hunk, `${id} ${at}`, language);
      else unifiedHunk(rows, hunk, `${id} ${at}`, language);
    });
  }
  return rows;
}

function notes(file: FileDiff): string[] {
  const found: string[] = [];
  if (file.kind === "renamed" || file.kind === "copied") found.push(`${file.kind} from ${file.oldPath}`);
  if (file.mode) found.push(file.mode.from ? `mode ${file.mode.from} → ${file.mode.to}` : `mode ${file.mode.to}`);
  if (file.binary) found.push("a binary file; the patch carries it whole");
  else if (file.hunks.length === 0 && found.length === 0) found.push(file.kind === "deleted" ? "an empty file is deleted" : "an empty file");
  return found;
}

function gapText(skipped: number, heading: string): string {
  if (skipped <= 0) return heading;
  const words = `${skipped} ${skipped === 1 ? "line" : "lines"} unchanged`;
  return heading ? `${words} · ${heading}` : words;
}

/** Cut a hunk into context lines and changes: lines that go, then lines that come. */
function* changes(hunk: Hunk): Generator<{ context: Line } | { gone: Line[]; come: Line[] }> {
  let [gone, come]: [Line[], Line[]] = [[], []];
  for (const line of hunk.lines) {
    if (line.kind === "-" && come.length > 0) {
      yield { gone, come };
      [gone, come] = [[], []];
    }
    if (line.kind === "-") gone.push(line);
    else if (line.kind === "+") come.push(line);
    else {
      if (gone.length + come.length > 0) yield { gone, come };
      [gone, come] = [[], []];
      yield { context: line };
    }
  }
  if (gone.length + come.length > 0) yield { gone, come };
}

function unifiedHunk(rows: DiffRow[], hunk: Hunk, key: string, language: string): void {
  let at = 0;
  const add = (line: Line, mate: string | null): void => {
    rows.push({ t: "line", key: `l ${key} ${at++}`, line, mate, language });
    if (line.noNewline) rows.push({ t: "note", key: `e ${key} ${at}`, text: "no newline at the end of the file" });
  };
  for (const part of changes(hunk)) {
    if ("context" in part) add(part.context, null);
    else {
      const even = part.gone.length === part.come.length;
      part.gone.forEach((line, i) => add(line, even ? (part.come[i]?.text ?? null) : null));
      part.come.forEach((line, i) => add(line, even ? (part.gone[i]?.text ?? null) : null));
    }
  }
}

function splitHunk(rows: DiffRow[], hunk: Hunk, key: string, language: string): void {
  let at = 0;
  const add = (left: Cell | null, right: Cell | null): void => {
    rows.push({ t: "pair", key: `p ${key} ${at++}`, left, right, same: null, language });
  };
  for (const part of changes(hunk)) {
    if ("context" in part) {
      const { text, old, new: now } = part.context;
      add({ kind: "context", text, line: old }, { kind: "context", text, line: now });
      continue;
    }
    for (let i = 0; i < Math.max(part.gone.length, part.come.length); i++) {
      const [gone, come] = [part.gone[i], part.come[i]];
      add(gone ? { kind: "del", text: gone.text, line: gone.old } : null, come ? { kind: "add", text: come.text, line: come.new } : null);
    }
  }
}

/** Rows around a difference that are shown with it. */
const NEAR = 3;

export function pairRows(pairs: readonly FilePair[], onlyDifferent: boolean, folded: ReadonlySet<string>): DiffRow[] {
  const rows: DiffRow[] = [];
  for (const pair of pairs) {
    if (onlyDifferent && pair.relation === "same") continue;
    const collapsed = folded.has(pair.path);
    rows.push({ t: "file", key: `f ${pair.path}`, path: pair.path, file: null, pair, collapsed });
    if (collapsed) continue;
    for (const [side, file] of [["A", pair.a], ["B", pair.b]] as const)
      if (file) for (const text of notes(file)) rows.push({ t: "note", key: `n ${side} ${pair.path} ${text}`, text: `${side}: ${text}` });
    const language = languageOf(pair.path);
    comparePair(pair).forEach((section, at) => {
      if (onlyDifferent && !section.differs) return;
      const text = gapText(section.skipped, "");
      if (text) rows.push({ t: "gap", key: `g ${pair.path} ${at}`, text: text.replace("unchanged", "unchanged by both") });
      const shown = onlyDifferent ? near(section.rows) : null;
      let hidden = 0;
      section.rows.forEach((row, index) => {
        if (shown && !shown[index]) {
          hidden++;
          return;
        }
        if (hidden > 0) rows.push({ t: "gap", key: `h ${pair.path} ${at} ${index}`, text: `${hidden} ${hidden === 1 ? "line" : "lines"} the same in both` });
        hidden = 0;
        rows.push({ t: "pair", key: `p ${pair.path} ${at} ${index}`, left: row.a, right: row.b, same: row.same, language });
      });
      if (hidden > 0) rows.push({ t: "gap", key: `h ${pair.path} ${at} end`, text: `${hidden} ${hidden === 1 ? "line" : "lines"} the same in both` });
    });
  }
  return rows;
}

function near(rows: readonly PairRow[]): boolean[] {
  const shown = new Array<boolean>(rows.length).fill(false);
  rows.forEach((row, at) => {
    if (!row.same) shown.fill(true, Math.max(0, at - NEAR), at + NEAR + 1);
  });
  return shown;
}
