/** What two lists of lines have in common, in their order, as pairs of indices. */

/**
 * Up to this many cells the longest such sequence is found. Longer lists are divided first, by
 * the lines that stand once in each (as in "patience diff").
 */
const MOST_CELLS = 400_000;

/** Nobody's lines are divided as often as this, unless they were made for it. */
const MOST_DIVISIONS = 50;

type Lines = readonly string[];
type Pair = [number, number];
interface Span {
  startA: number;
  endA: number;
  startB: number;
  endB: number;
}

/** Yields now and then: of long lists it takes a while. */
export function* common(a: Lines, b: Lines): Generator<undefined, Pair[]> {
  const pairs: Pair[] = [];
  yield* match(a, b, { startA: 0, endA: a.length, startB: 0, endB: b.length }, pairs, 0);
  return pairs;
}

function* match(
  a: Lines,
  b: Lines,
  { startA, endA, startB, endB }: Span,
  pairs: Pair[],
  divisions: number,
): Generator<undefined, void> {
  while (startA < endA && startB < endB && a[startA] === b[startB]) pairs.push([startA++, startB++]);
  const [lastA, lastB] = [endA, endB];
  while (endA > startA && endB > startB && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const span = { startA, endA, startB, endB };
  if ((endA - startA) * (endB - startB) <= MOST_CELLS) longest(a, b, span, pairs);
  else if (divisions < MOST_DIVISIONS) {
    yield;
    for (const [x, y] of anchors(a, b, span)) {
      yield* match(a, b, { startA, endA: x, startB, endB: y }, pairs, divisions + 1);
      pairs.push([x, y]);
      [startA, startB] = [x + 1, y + 1];
      yield;
    }
    // Without any, all of it differs.
    if (startA > span.startA) yield* match(a, b, { startA, endA, startB, endB }, pairs, divisions + 1);
  }
  while (endA < lastA && endB < lastB) pairs.push([endA++, endB++]);
}

/** By the table of what is the longest from each two lines on. */
function longest(a: Lines, b: Lines, { startA, endA, startB, endB }: Span, pairs: Pair[]): void {
  const [rows, columns] = [endA - startA, endB - startB];
  if (rows === 0 || columns === 0) return;
  const width = columns + 1;
  const length = new Uint16Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      length[i * width + j] =
        a[startA + i] === b[startB + j]
          ? (length[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(length[(i + 1) * width + j] ?? 0, length[i * width + j + 1] ?? 0);
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (a[startA + i] === b[startB + j]) pairs.push([startA + i++, startB + j++]);
    else if ((length[(i + 1) * width + j] ?? 0) >= (length[i * width + j + 1] ?? 0)) i++;
    else j++;
  }
}

/** Lines that stand once in each: as many as are in the same order. */
function anchors(a: Lines, b: Lines, { startA, endA, startB, endB }: Span): Pair[] {
  const [inA, inB] = [once(a, startA, endA), once(b, startB, endB)];
  const both: Pair[] = [];
  for (const [line, x] of inA) {
    const y = inB.get(line) ?? -1;
    if (x >= 0 && y >= 0) both.push([x, y]);
  }
  // The longest that rises in b: of those of each length, the one that ends first there.
  const ends: number[] = [];
  const before = new Int32Array(both.length);
  const inOther = (at: number): number => both[at]?.[1] ?? 0;
  for (let at = 0; at < both.length; at++) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (inOther(ends[middle] ?? 0) < inOther(at)) low = middle + 1;
      else high = middle;
    }
    before[at] = ends[low - 1] ?? -1;
    ends[low] = at;
  }
  const found: Pair[] = [];
  for (let at = ends.at(-1) ?? -1; at >= 0; at = before[at] ?? -1) found.push(both[at] ?? [0, 0]);
  return found.reverse();
}

/** Where each line stands; -1 if more than once. */
function once(lines: Lines, start: number, end: number): Map<string, number> {
  const places = new Map<string, number>();
  for (let at = start; at < end; at++) {
    const line = lines[at] ?? "";
    places.set(line, places.has(line) ? -1 : at);
  }
  return places;
}
