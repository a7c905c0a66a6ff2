/** The longest common subsequence of two short lists of lines, as pairs of indices. */

/** Above this many cells only the common start and end are matched. */
const MOST_CELLS = 400_000;

export function common(a: readonly string[], b: readonly string[]): [number, number][] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const pairs: [number, number][] = [];
  for (let at = 0; at < start; at++) pairs.push([at, at]);
  const [rows, columns] = [endA - start, endB - start];
  if (rows > 0 && columns > 0 && rows * columns <= MOST_CELLS) {
    const width = columns + 1;
    const length = new Uint16Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--)
      for (let j = columns - 1; j >= 0; j--)
        length[i * width + j] =
          a[start + i] === b[start + j]
            ? (length[(i + 1) * width + j + 1] ?? 0) + 1
            : Math.max(length[(i + 1) * width + j] ?? 0, length[i * width + j + 1] ?? 0);
    for (let i = 0, j = 0; i < rows && j < columns; ) {
      if (a[start + i] === b[start + j]) pairs.push([start + i++, start + j++]);
      else if ((length[(i + 1) * width + j] ?? 0) >= (length[i * width + j + 1] ?? 0)) i++;
      else j++;
    }
  }
  for (let at = 0; at < a.length - endA; at++) pairs.push([endA + at, endB + at]);
  return pairs;
}
