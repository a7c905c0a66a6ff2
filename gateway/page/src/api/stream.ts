/**
 * Reads a run's stream and comes back by itself.
 *
 * `EventSource` cannot send a token, so the stream is read with `fetch`. What holds it
 * together is the same: every event has an id, and a reader that returns says the last one it
 * has (`Last-Event-ID`) and gets exactly the rest. 204 means that there is no more.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { authorization, refuseToken } from "./token";

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "waiting"; seconds: number; reason: string }
  | { state: "ended" }
  | { state: "gone" }
  | { state: "refused" };

export interface Reader {
  onEvent(event: EventSourceMessage): void;
  onConnection(connection: Connection): void;
}

/** What the reader needs of the world; tests bring their own. */
export interface World {
  fetch(url: string, init: RequestInit): Promise<Response>;
  pause(seconds: number, signal: AbortSignal): Promise<void>;
  /** Let the browser draw. */
  breathe(): Promise<void>;
  now(): number;
}

const PAUSES = [0.25, 0.5, 1, 2, 4, 8, 15];
/** The server sends a comment after 15 s of silence; after three of them the line is dead. */
const SILENCE_SECONDS = 45;
const SLICE_MS = 8;

export const browser: World = {
  fetch: (url, init) => fetch(url, init),
  now: () => performance.now(),
  breathe: () => new Promise((resolve) => setTimeout(resolve, 0)),
  pause: (seconds, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        removeEventListener("online", done);
        document.removeEventListener("visibilitychange", done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      signal.addEventListener("abort", done, { once: true });
      // Waking up or getting the network back is a reason to try at once.
      addEventListener("online", done);
      document.addEventListener("visibilitychange", done);
    }),
};

/** Follow `url` until it ends, the run is gone, or `signal` says stop. */
export async function follow(
  url: string,
  reader: Reader,
  signal: AbortSignal,
  world: World = browser,
): Promise<void> {
  let last: string | null = null;
  let failures = 0;
  const on = (event: EventSourceMessage): void => {
    failures = 0;
    if (event.id !== undefined) last = event.id;
    reader.onEvent(event);
  };
  reader.onConnection({ state: "connecting" });
  while (!signal.aborted) {
    let reason = "The connection was cut.";
    try {
      const answer = await attempt(url, last, on, () => reader.onConnection({ state: "live" }), signal, world);
      if (answer === "ended" || answer === "gone" || answer === "refused") {
        reader.onConnection({ state: answer });
        return;
      }
      reason = answer;
    } catch {
      if (signal.aborted) return;
      reason = "The server does not answer.";
    }
    const seconds = PAUSES[Math.min(failures, PAUSES.length - 1)] ?? 15;
    failures += 1;
    reader.onConnection({ state: "waiting", seconds, reason });
    await world.pause(seconds, signal);
  }
}

async function attempt(
  url: string,
  last: string | null,
  on: (event: EventSourceMessage) => void,
  onOpen: () => void,
  signal: AbortSignal,
  world: World,
): Promise<string> {
  // One attempt can be given up without giving up on the stream.
  const dead = new AbortController();
  const stop = (): void => dead.abort();
  signal.addEventListener("abort", stop, { once: true });
  let timer = setTimeout(stop, SILENCE_SECONDS * 1000);
  try {
    const response = await world.fetch(url, {
      signal: dead.signal,
      cache: "no-store",
      headers: { ...authorization(), ...(last === null ? {} : { "Last-Event-ID": last }) },
    });
    if (response.status === 204) return "ended";
    if (response.status === 404 || response.status === 410) return "gone";
    if (response.status === 401) {
      refuseToken();
      return "refused";
    }
    if (!response.ok || !response.body) return `The server answered ${response.status}.`;
    onOpen();
    let ended = false;
    const parser = createParser({
      onEvent(event) {
        on(event);
        if (event.event === "end") ended = true;
      },
    });
    const chunks = response.body.getReader();
    const decoder = new TextDecoder();
    let since = world.now();
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) break;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE_SECONDS * 1000);
      parser.feed(decoder.decode(value, { stream: true }));
      // A long history arrives at once: give way to drawing and to input in between.
      if (world.now() - since > SLICE_MS) {
        await world.breathe();
        since = world.now();
      }
    }
    return ended ? "ended" : "The connection was cut.";
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
