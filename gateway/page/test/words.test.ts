import { expect, test } from "vitest";
import type { Usage } from "../src/api/types";
import { cost } from "../src/text/format";
import { treeRows } from "../src/views/Run/Files/tree";
import { edited, gist, headline } from "../src/views/Run/Transcript/gist";

const usage = (tokens: number, cost_usd: number | null): Usage => ({
  input_tokens: tokens, output_tokens: 0, cache_write_tokens: 0, cache_read_tokens: 0, cost_usd,
});

test("a cost is known, unknown, or none", () => {
  expect(cost([usage(10, 0.5), usage(10, 0.25)])).toBe("$0.75");
  expect(cost([usage(10, 0.5), usage(10, null)])).toBe("cost unknown");
  expect(cost([usage(0, null), usage(10, 0.5)])).toBe("$0.50");
  expect(cost([usage(0, null), undefined])).toBe("");
  expect(cost([usage(10, null)], { scripted: true })).toBe("no cost");
});

test("files are in the tree in the order in which they are shown beside it", () => {
  const paths = ["README.md", "a/b/c.py", "a/b/d.py", "lib.py", "lib/x.py"];
  expect(treeRows(paths).map((row) => [row.depth, row.name])).toEqual([
    [0, "README.md"], [0, "a/b/"], [1, "c.py"], [1, "d.py"], [0, "lib.py"], [0, "lib/"], [1, "x.py"],
  ]);
  expect(treeRows(paths).flatMap((row) => row.path ?? [])).toEqual(paths);
});

test("a file whose name another attempt uses for a folder keeps its row", () => {
  expect(treeRows(["a", "a/b"]).map((row) => row.name)).toEqual(["a", "a/", "b"]);
});

test("a tool call is told in few words, an edit by its size", () => {
  const edit = { command: "str_replace", path: "src/main.py", old_str: "one\ntwo", new_str: "two\n" };
  expect(headline({ name: "str_replace_based_edit_tool", input: edit })).toBe("edit");
  expect(gist(edit)).toEqual(["src/", "main.py"]);
  expect(edited(edit)).toEqual({ added: 1, removed: 2 });
  expect(gist({ path: ".", pattern: "TODO" })).toEqual(["", ". TODO"]);
  expect(edited({ path: "." })).toBeNull();
  expect(headline({ name: "later\u202e", input: "?" })).toBe("later\u27e8U+202E\u27e9");
});
