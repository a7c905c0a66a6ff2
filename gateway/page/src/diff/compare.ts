/**
 * Two attempts against each other, without the repository.
 *
 * Both patches start from the same commit, so a line of the base that one patch shows is known
 * for the other as well: where a hunk covers it, from the hunk; elsewhere it is unchanged.
 * Over the lines that either patch shows, what A left and what B left are therefore known
 * exactly; everywhere else both left the base as it was. Rows are aligned by the base's lines.
 */
import type { FileDiff, Hunk, Line } from "./parse";
import { common } from "./sequence";
import { finishNow } from "./slices";

export interface Cell {
  kind: "context" | "add" | "del";
  text: string;
  /** Line number: of the result for context and additions, of the base for deletions. */
  line: number;
}

export interface PairRow {
  a: Cell | null;
  b: Cell | null;
  /** Both results have (or lack) the same here. */
  same: boolean;
}

export type Relation = "only-a" | "only-b" | "same" | "differ";

export interface FilePair {
  path: string;
  relation: Relation;
  a: FileDiff | null;
  b: FileDiff | null;
}

/** Pair the files of two patches, by the base's name where there is one. */
export function pairFiles(a: readonly FileDiff[], b: readonly FileDiff[]): FilePair[] {
  const key = (file: FileDiff): string => (file.kind === "copied" ? file.path : file.oldPath);
  const others = new Map(b.map((file) => [key(file), file]));
  const pairs: FilePair[] = a.map((file) => {
    const other = others.get(key(file)) ?? null;
    others.delete(key(file));
    const relation = other === null ? "only-a" : sameChange(file, other) ? "same" : "differ";
    return { path: file.path, relation, a: file, b: other };
  });
  for (const file of others.values()) pairs.push({ path: file.path, relation: "only-b", a: null, b: file });
  return pairs.sort((one, two) => (one.path < two.path ? -1 : one.path > two.path ? 1 : 0));
}

function sameChange(a: FileDiff, b: FileDiff | undefined): boolean {
  return a.path === b?.path && a.body === b.body;
}

/** Whether two patches do the same, index lines apart: git says the same changes in the same order. */
export function sameFiles(a: readonly FileDiff[], b: readonly FileDiff[]): boolean {
  return a.length === b.length && a.every((file, at) => sameChange(file, b[at]));
}

interface Side {
  /** What was put in before a line of the base, by that line. */
  inserted: Map<number, Line[]>;
  deleted: Set<number>;
}

interface Region {
  start: number;
  /** Exclusive. */
  end: number;
}

export interface PairSection {
  /** First line of the base in it. */
  start: number;
  /** Lines of the base that neither patch shows, before it. */
  skipped: number;
  rows: PairRow[];
  differs: boolean;
}

const compared = new WeakMap<FilePair, PairSection[]>();
const STEP = 1000;

/** Pair the files of two patches, and compare those that both change differently: it takes a while. */
export function* comparing(a: readonly FileDiff[], b: readonly FileDiff[]): Generator<undefined, FilePair[]> {
  const pairs = pairFiles(a, b);
  for (const pair of pairs) {
    if (pair.relation !== "differ") continue;
    yield;
    compared.set(pair, yield* compare(pair));
  }
  return pairs;
}

/**
 * Return what the two made of one file, aligned; the rows of one stand alone without other.
 *
 * Found once for each pair: it is asked for by what counts them, by what shows them, and at
 * every fold.
 */
export function comparePair(pair: FilePair): PairSection[] {
  let sections = compared.get(pair);
  if (!sections) compared.set(pair, (sections = finishNow(compare(pair))));
  return sections;
}

function* compare(pair: FilePair): Generator<undefined, PairSection[]> {
  const hunksA = pair.a?.hunks ?? [];
  const hunksB = pair.b?.hunks ?? [];
  const base = new Map<number, string>();
  const [a, b] = [readSide(hunksA, base), readSide(hunksB, base)];
  const sections: PairSection[] = [];
  let previous = 1;
  let [shiftA, shiftB] = [0, 0];
  let steps = 0;
  for (const region of regions([...hunksA, ...hunksB])) {
    const rows: PairRow[] = [];
    for (let at = region.start; at <= region.end; at++) {
      if (++steps % STEP === 0) yield;
      const [insertsA, insertsB] = [a.inserted.get(at) ?? [], b.inserted.get(at) ?? []];
      // At most lines nothing is put in, and to align nothing takes its time as well.
      if (insertsA.length + insertsB.length > 0) yield* alignInserts(insertsA, insertsB, at + shiftA, at + shiftB, rows);
      shiftA += insertsA.length;
      shiftB += insertsB.length;
      // What is put in behind the last line belongs to the region, the line itself does not.
      if (at === region.end) break;
      const text = base.get(at) ?? "";
      const [goneA, goneB] = [a.deleted.has(at), b.deleted.has(at)];
      rows.push({
        a: goneA ? { kind: "del", text, line: at } : { kind: "context", text, line: at + shiftA },
        b: goneB ? { kind: "del", text, line: at } : { kind: "context", text, line: at + shiftB },
        same: goneA === goneB,
      });
      if (goneA) shiftA--;
      if (goneB) shiftB--;
    }
    const skipped = Math.max(0, region.start - previous);
    previous = region.end;
    sections.push({ start: region.start, skipped, rows, differs: rows.some((row) => !row.same) });
  }
  return sections;
}

function readSide(hunks: readonly Hunk[], base: Map<number, string>): Side {
  const side: Side = { inserted: new Map(), deleted: new Set() };
  for (const hunk of hunks) {
    // A hunk without lines of the base says the line before it.
    let at = hunk.oldLines === 0 ? hunk.oldStart + 1 : hunk.oldStart;
    for (const line of hunk.lines) {
      if (line.kind === "+") {
        const there = side.inserted.get(at);
        if (there) there.push(line);
        else side.inserted.set(at, [line]);
        continue;
      }
      base.set(at, line.text);
      if (line.kind === "-") side.deleted.add(at);
      at++;
    }
  }
  return side;
}

/** Merge what hunks cover of the base into regions that do not touch. */
function regions(hunks: readonly Hunk[]): Region[] {
  const spans = hunks
    .map((hunk) => {
      const start = hunk.oldLines === 0 ? hunk.oldStart + 1 : hunk.oldStart;
      return { start, end: start + hunk.oldLines };
    })
    .sort((one, two) => one.start - two.start);
  const merged: Region[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else merged.push({ ...span });
  }
  return merged;
}

function* alignInserts(a: Line[], b: Line[], lineA: number, lineB: number, rows: PairRow[]): Generator<undefined, void> {
  let [i, j] = [0, 0];
  const cell = (line: Line | undefined, number: number): Cell | null =>
    line ? { kind: "add", text: line.text, line: number } : null;
  const upTo = (endA: number, endB: number): void => {
    while (i < endA || j < endB) {
      const left = i < endA ? cell(a[i], lineA + i++) : null;
      const right = j < endB ? cell(b[j], lineB + j++) : null;
      rows.push({ a: left, b: right, same: false });
    }
  };
  for (const [x, y] of yield* common(a.map((line) => line.text), b.map((line) => line.text))) {
    upTo(x, y);
    rows.push({ a: cell(a[x], lineA + x), b: cell(b[y], lineB + y), same: true });
    [i, j] = [x + 1, y + 1];
  }
  upTo(a.length, b.length);
}

/** How many changed lines of each are changed the same way by the other. */
export function sharedLines(pairs: readonly FilePair[]): { shared: number; a: number; b: number } {
  const total = { shared: 0, a: 0, b: 0 };
  for (const pair of pairs) {
    total.a += (pair.a?.added ?? 0) + (pair.a?.removed ?? 0);
    total.b += (pair.b?.added ?? 0) + (pair.b?.removed ?? 0);
    if (pair.relation === "same") total.shared += (pair.a?.added ?? 0) + (pair.a?.removed ?? 0);
    else if (pair.relation === "differ")
      for (const section of comparePair(pair))
        for (const row of section.rows)
          if (row.same && row.a && row.a.kind !== "context" && row.a.kind === row.b?.kind) total.shared++;
  }
  return total;
}
