import { expect, test } from "vitest";
import type { Message } from "../src/api/types";
import { Attempt, waitWords } from "../src/run/items";

let time = 1000;
const say = (attempt: Attempt, data: Partial<Message>): void =>
  attempt.apply({ name: "message", data: { variation_id: 1, attempt: 1, time: time++, ...data } as Message });

test("what a retry repeats is superseded, what other turns said is not", () => {
  const attempt = new Attempt(1);
  say(attempt, { type: "agent_output", content: "First turn.", turn: 1, try: 1 });
  say(attempt, { type: "agent_output", content: "Cut o", turn: 2, try: 1 });
  say(attempt, { type: "retry", code: "overloaded", message: "The server is busy.", wait_seconds: 3, turn: 2, try: 1 });
  expect(attempt.doing).toBe("waiting to ask again (in 3 s)");
  say(attempt, { type: "agent_output", content: "Whole.", turn: 2, try: 2 });
  expect(attempt.items.map((item) => [item.kind, item.superseded])).toEqual([
    ["text", false], ["text", true], ["retry", false], ["text", false],
  ]);
  // What the page itself says of a retry stays as it is when the next one fails, too.
  say(attempt, { type: "retry", code: "overloaded", message: "The server is busy.", wait_seconds: 3, turn: 2, try: 2 });
  expect(attempt.items.filter((item) => item.superseded).map((item) => item.kind)).toEqual(["text", "text"]);
});

test("a result belongs to its call, also when calls run together", () => {
  const attempt = new Attempt(1);
  say(attempt, { type: "tool_call", id: "a", name: "view", input: { path: "x" }, turn: 1 });
  say(attempt, { type: "tool_call", id: "b", name: "view", input: { path: "y" }, turn: 1 });
  say(attempt, { type: "tool_result", id: "a", name: "view", content: "of x", turn: 1 });
  const [a, b] = attempt.items;
  expect(a).toMatchObject({ id: "a", result: { content: "of x", isError: false } });
  expect(b).toMatchObject({ id: "b", result: null });
});

test("events of types that are not known yet change nothing", () => {
  const attempt = new Attempt(1);
  say(attempt, { type: "later" as Message["type"], content: "?" });
  expect(attempt.items).toEqual([]);
});

test("waits for a turn are counted together, and are no failure", () => {
  const attempt = new Attempt(1);
  const wait = { type: "wait", cause: "busy", message: "others are asking", turn: 1, try: 1 } as const;
  say(attempt, { ...wait, seconds: 2 });
  expect(attempt.doing).toBe("waiting 2.0 s for its turn: others are asking");
  say(attempt, { ...wait, seconds: 3 });
  say(attempt, { ...wait, seconds: 3, message: "the server is overloaded" });
  const told = attempt.items.map((item) => (item.kind === "wait" ? waitWords(item) : item.kind));
  expect(told).toEqual([
    "Waits 2 times, 5.0 s in all, for its turn: others are asking.",
    "Waits 3.0 s for its turn: the server is overloaded.",
  ]);
});
