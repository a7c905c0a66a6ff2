import { expect, test } from "vitest";
import { comparePair, comparing, pairFiles, sameFiles, sharedLines } from "../src/diff/compare";
import { parse, unquote } from "../src/diff/parse";
import { common } from "../src/diff/sequence";
import { finishNow, inSlices } from "../src/diff/slices";

const head = (path: string): string =>
  `diff --git a/${path} b/${path}\nindex 1111111..2222222 100644\n--- a/${path}\n+++ b/${path}\n`;

test("a patch is read into files, hunks and numbered lines", () => {
  const [file] = parse(`${head("a b.py")}@@ -3,3 +3,4 @@ def f():\n x\n-old\n+new\n+more\n y\n\\ No newline at end of file\n`);
  expect(file).toMatchObject({ path: "a b.py", kind: "modified", added: 2, removed: 1 });
  expect(file?.hunks[0]?.heading).toBe("def f():");
  expect(file?.hunks[0]?.lines.map((line) => [line.kind, line.old, line.new])).toEqual([
    [" ", 3, 3], ["-", 4, 0], ["+", 0, 4], ["+", 0, 5], [" ", 5, 6],
  ]);
  expect(file?.hunks[0]?.lines.at(-1)?.noNewline).toBe(true);
});

test("lines that look like headers inside a hunk are lines", () => {
  const files = parse(`${head("x")}@@ -1,2 +1,2 @@\n--- a/y\n+++ b/y\n diff --git a/z b/z\n${head("y")}@@ -1 +1 @@\n-a\n+b\n`);
  expect(files.map((file) => file.path)).toEqual(["x", "y"]);
  expect(files[0]).toMatchObject({ added: 1, removed: 1 });
});

test("what is not a change of lines is read as well", () => {
  const files = parse(
    "diff --git a/old.py b/new.py\nsimilarity index 100%\nrename from old.py\nrename to new.py\n" +
      "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n" +
      'diff --git "a/gr\\303\\274n.txt" "b/gr\\303\\274n.txt"\nnew file mode 100644\nindex 0000000..e69de29\n' +
      "diff --git a/pic.png b/pic.png\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKcmZ\n\nliteral 0\nHcmV\n\n",
  );
  expect(files.map((file) => [file.kind, file.oldPath, file.path, file.binary])).toEqual([
    ["renamed", "old.py", "new.py", false],
    ["modified", "run.sh", "run.sh", false],
    ["added", "grün.txt", "grün.txt", false],
    ["modified", "pic.png", "pic.png", true],
  ]);
  expect(files[1]?.mode).toEqual({ from: "100644", to: "100755" });
});

test("git's quoting of names is undone", () => {
  expect(unquote('"a\\tb\\"c\\\\d\\303\\251"')).toBe('a\tb"c\\dé');
  expect(unquote("plain name")).toBe("plain name");
});

const inCommon = (a: string[], b: string[]): [number, number][] => finishNow(common(a, b));

test("a common subsequence keeps order", () => {
  expect(inCommon(["a", "b", "c", "d"], ["b", "x", "d"])).toEqual([[1, 0], [3, 2]]);
  expect(inCommon([], ["a"])).toEqual([]);
  expect(inCommon(["a", "b"], ["a", "b"])).toEqual([[0, 0], [1, 1]]);
});

test("of long lists all is found that differs little, by lines that stand once", () => {
  const lines = Array.from({ length: 6000 }, (_, n) => `line ${n}`);
  const other = (line: string, n: number): string => (n % 50 === 0 || n === 5999 ? `other ${n}` : line);
  const same = lines.flatMap((line, n): [number, number][] => (other(line, n) === line ? [[n, n]] : []));
  expect(inCommon(lines, lines.map(other))).toEqual(same);
  // Lines that stand often are found between those: blank ones, brackets.
  const blank = lines.map((line, n) => (n % 3 === 0 ? "" : other(line, n)));
  const found = inCommon(lines.map((line, n) => (n % 3 === 0 ? "" : line)), blank);
  expect(found.filter(([x, y]) => x !== y)).toEqual([]);
  expect(found.length).toBe(blank.filter((line) => !line.startsWith("other")).length);
  // What was moved is found on one side of the rest, and what differs throughout, nowhere.
  const moved = [...lines.slice(3000), ...lines.slice(0, 3000)];
  expect(inCommon(lines, moved).length).toBe(3000);
  expect(inCommon(lines, lines.map((line) => `not ${line}`))).toEqual([]);
});

test("lines made to be divided over and over are given up on", () => {
  // Each stands twice until those around it have been told apart, and nothing else is alike.
  const lines = (side: string): string[] =>
    Array.from({ length: 3000 }, (_, n) => [`${n + 1}`, `${side}${n}`, `${n}`, `${side}-${n}`]).flat();
  const found = inCommon(lines("a"), lines("b")).length;
  expect(found).toBeGreaterThan(50);
  expect(found).toBeLessThan(500);
});

test("pairs rise in both and stand for the same, whatever is repeated", () => {
  let seed = 1;
  const die = (sides: number): number => (seed = (seed * 48_271) % 2_147_483_647) % sides;
  for (const kinds of [2, 40, 3000]) {
    const [a, b] = [1500, 1400].map((length) => Array.from({ length }, () => `${die(kinds)}`)) as [string[], string[]];
    const found = inCommon(["first", ...a], ["other", ...b]);
    expect(found.every(([x, y], at) => x > (found[at - 1]?.[0] ?? -1) && y > (found[at - 1]?.[1] ?? -1))).toBe(true);
    expect(found.every(([x, y]) => ["first", ...a][x] === ["other", ...b][y])).toBe(true);
  }
});

/** Apply rows to see that each side is what its patch leaves. */
const result = (rows: ReturnType<typeof comparePair>[number]["rows"], side: "a" | "b"): string[] =>
  rows.flatMap((row) => (row[side] && row[side].kind !== "del" ? [row[side].text] : []));

test("two results are known exactly where either patch shows the base", () => {
  // The base is l1 to l9. A replaces l3 and adds one line; B deletes l5, which A's hunk only borders.
  const a = parse(`${head("f")}@@ -2,3 +2,4 @@\n l2\n-l3\n+A3\n+same\n l4\n`);
  const b = parse(`${head("f")}@@ -3,4 +3,4 @@\n l3\n+same\n l4\n-l5\n l6\n`);
  const [pair] = pairFiles(a, b);
  expect(pair?.relation).toBe("differ");
  const sections = pair ? comparePair(pair) : [];
  expect(sections).toHaveLength(1);
  const rows = sections[0]?.rows ?? [];
  expect(result(rows, "a")).toEqual(["l2", "A3", "same", "l4", "l5", "l6"]);
  expect(result(rows, "b")).toEqual(["l2", "l3", "same", "l4", "l6"]);
  // What both put in at the same place is one row, and not a difference.
  expect(rows.find((row) => row.a?.text === "same")).toMatchObject({ b: { text: "same" }, same: true });
  // Line numbers are those of each result.
  expect(rows.find((row) => row.a?.text === "l6")?.a?.line).toBe(7);
  expect(rows.find((row) => row.b?.text === "l6")?.b?.line).toBe(6);
  expect(sharedLines([pair!])).toEqual({ shared: 1, a: 3, b: 2 });
  // Who shows them and who counts them are given what was found once.
  expect(comparePair(pair!)).toBe(sections);
});

test("thousands of lines are compared in slices, and as they are at once", async () => {
  const long = (sign: string): string =>
    `${head("f")}@@ -1,5000 +1,5000 @@\n` + Array.from({ length: 5000 }, (_, n) => `-l${n}\n+${sign}${n % 3 ? n : ""}\n`).join("");
  const [a, b] = [parse(long("A")), parse(long("B"))];
  let slices = 1;
  const work = comparing(a, b);
  let step = work.next();
  for (; !step.done; step = work.next()) slices++;
  expect(slices).toBeGreaterThan(4);
  const [pair] = step.value;
  const [other] = pairFiles(a, b);
  expect(comparePair(pair!)).toEqual(comparePair(other!));
});

test("what waits for a work of several slices begins in a task of its own", async () => {
  const order: string[] = [];
  function* work(): Generator<undefined, object> {
    yield;
    setTimeout(() => order.push("another task"), 0);
    return {};
  }
  await inSlices(work(), -1).then(() => order.push("what waits"));
  expect(order).toEqual(["another task", "what waits"]);
  await inSlices(work(), 1e6).then(() => order.push("at once"));
  expect(order.slice(2)).toEqual(["at once"]);
});

test("a file that only one touches stands against what was there", () => {
  const [pair] = pairFiles(parse(`${head("f")}@@ -1,2 +1,2 @@\n-one\n+eins\n two\n`), []);
  const rows = pair ? comparePair(pair)[0]?.rows : [];
  expect(pair?.relation).toBe("only-a");
  expect(rows?.map((row) => [row.a?.kind, row.b?.kind, row.same])).toEqual([
    ["del", "context", false], ["add", undefined, false], ["context", "context", true],
  ]);
});

test("index lines do not make patches differ, anything else does", () => {
  const patch = `${head("f")}@@ -1 +1 @@\n-a\n+b\n`;
  expect(sameFiles(parse(patch), parse(patch.replace("1111111", "3333333")))).toBe(true);
  expect(sameFiles(parse(patch), parse(patch.replace("+b", "+c")))).toBe(false);
  expect(sameFiles(parse(patch), [])).toBe(false);
});

test("a new file of very many lines is compared", () => {
  const patch = (sign: string): string =>
    `diff --git a/new b/new\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/new\n@@ -0,0 +1,150000 @@\n` +
    Array.from({ length: 150_000 }, (_, n) => `+${n % 1000 === 0 ? sign : ""}${n}\n`).join("");
  const [pair] = pairFiles(parse(patch("A")), parse(patch("B")));
  const rows = (pair ? comparePair(pair) : []).flatMap((section) => section.rows.filter((row) => row.same));
  expect(rows.length).toBe(150_000 - 150);
});
