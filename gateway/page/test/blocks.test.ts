import { expect, test } from "vitest";
import { Blocks, MAX_BLOCK } from "../src/text/blocks";
import { visible } from "../src/text/visible";

const TEXT = "# Title\n\nSome *words*.\nMore.\n\n- one\n\n- two\n\nAfter.\n\n```py\na = 1\n\nb = 2\n```\n\nEnd.";

function grow(text: string, size: number): string[] {
  const blocks = new Blocks();
  for (let at = 0; at < text.length; at += size) {
    blocks.append(text.slice(at, at + size));
    blocks.all();
  }
  return blocks.all().map((block) => block.source.trim());
}

test("blocks are the same however the text arrives", () => {
  const whole = grow(TEXT, TEXT.length);
  expect(whole).toEqual(["# Title", "Some *words*.\nMore.", "- one\n\n- two", "After.", "```py\na = 1\n\nb = 2\n```", "End."]);
  for (const size of [1, 2, 3, 7]) expect(grow(TEXT, size)).toEqual(whole);
});

test("a closed block is never touched again", () => {
  const blocks = new Blocks();
  blocks.append("First.\n\nSecond");
  const first = blocks.all()[0];
  blocks.append(" goes on.\n\nThird");
  expect(blocks.all()[0]).toBe(first);
});

test("a line of a megabyte becomes blocks of bounded length, none of it lost", () => {
  const blocks = new Blocks();
  blocks.append("x".repeat(1_000_000));
  const all = blocks.all();
  expect(Math.max(...all.map((block) => block.source.length))).toBeLessThanOrEqual(MAX_BLOCK);
  expect(all.reduce((sum, block) => sum + block.source.length, 0)).toBe(1_000_000);
});

test("a long fence stays code in each of its blocks", () => {
  const blocks = new Blocks();
  blocks.append("```js\n" + "let a = 1;\n".repeat(2000));
  for (const block of blocks.all()) expect(block.source.startsWith("```js\n")).toBe(true);
});

test("what cannot be seen is named", () => {
  expect(visible("a\u202eb\x1b[0m\u200bc\x07\t\n")).toBe("a⟨U+202E⟩b␛[0m⟨U+200B⟩c␇\t\n");
  expect(visible("plain – text, 漢字 👩‍👩‍👧")).toBe("plain – text, 漢字 👩‍👩‍👧");
});
