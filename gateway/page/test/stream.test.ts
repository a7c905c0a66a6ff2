import { beforeAll, expect, test, vi } from "vitest";
import type { Connection, World } from "../src/api/stream";

let follow: typeof import("../src/api/stream").follow;
beforeAll(async () => {
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => undefined });
  ({ follow } = await import("../src/api/stream"));
});

const event = (id: number, name = "message"): string => `id: ${id}\nevent: ${name}\ndata: {"n":${id}}\n\n`;

/** `null` is no answer at all. */
type Answer = Response | ((signal: AbortSignal) => Response) | null;

/** A line on which nothing comes after `text`, and which nobody closes: what sleep leaves. */
const silentAfter = (text: string) => (signal: AbortSignal) =>
  new Response(
    new ReadableStream({
      start(line) {
        line.enqueue(new TextEncoder().encode(text));
        signal.addEventListener("abort", () => line.error(signal.reason));
      },
    }),
  );

/** A server that gives these answers in turn. */
function serving(answers: Answer[]) {
  const asked: (string | null)[] = [];
  const pauses: number[] = [];
  const world: World = {
    now: () => 0,
    breathe: () => Promise.resolve(),
    pause: (seconds) => {
      pauses.push(seconds);
      return Promise.resolve();
    },
    fetch: (_url, init) => {
      asked.push(new Headers(init.headers).get("Last-Event-ID"));
      const answer = answers.shift();
      if (!answer) return Promise.reject(new TypeError("no answer"));
      return Promise.resolve(typeof answer === "function" ? answer(init.signal as AbortSignal) : answer);
    },
  };
  return { asked, pauses, world };
}

async function read(answers: Answer[]) {
  const { asked, pauses, world } = serving(answers);
  const ids: string[] = [];
  const states: Connection[] = [];
  const reader = { onEvent: (one: { id?: string | undefined }) => void ids.push(one.id ?? ""), onConnection: (one: Connection) => void states.push(one) };
  await follow("/stream", reader, new AbortController().signal, world);
  return { asked, pauses, ids, states: states.map((one) => one.state) };
}

test("a reader comes back from where it was, and stops at the end", async () => {
  const found = await read([
    new Response(event(1) + event(2) + "id: 3\nevent: mess"),
    null,
    new Response(event(3) + event(4, "end")),
  ]);
  expect(found.ids).toEqual(["1", "2", "3", "4"]);
  expect(found.asked).toEqual([null, "2", "2"]);
  expect(found.states).toEqual(["connecting", "live", "waiting", "waiting", "live", "ended"]);
});

test("204 means that there is no more, 404 that the run is gone", async () => {
  expect((await read([new Response(null, { status: 204 })])).states.at(-1)).toBe("ended");
  expect((await read([new Response("{}", { status: 404 })])).states.at(-1)).toBe("gone");
});

test("pauses grow while nothing comes, and start over once something has", async () => {
  const found = await read([null, null, null, new Response(event(1)), null, new Response(event(2, "end"))]);
  expect(found.pauses).toEqual([0.25, 0.5, 1, 0.25, 0.5]);
});

test("a line that has gone silent is left, and taken up again where it was", async () => {
  vi.useFakeTimers();
  try {
    const reading = read([silentAfter(event(1)), new Response(event(2, "end"))]);
    let over = false;
    void reading.then(() => (over = true));
    await vi.advanceTimersByTimeAsync(44_000);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    const found = await reading;
    expect(found.ids).toEqual(["1", "2"]);
    expect(found.asked).toEqual([null, "1"]);
    expect(found.states).toEqual(["connecting", "live", "waiting", "live", "ended"]);
  } finally {
    vi.useRealTimers();
  }
});
