/** What an attempt has said and done, as a list for people: built from its events. */
import type { CheckResult, Checked, Completion, Failure, Message, PatchStat, Status, Usage } from "../api/types";
import { Blocks } from "../text/blocks";
import { duration } from "../text/format";
import { sentences, visible } from "../text/visible";

interface OfTurn {
  turn: number;
  try_: number;
  /** A later try said it again. */
  superseded: boolean;
}

export interface TextItem extends OfTurn {
  kind: "text" | "thinking";
  blocks: Blocks;
  characters: number;
}

export interface ToolItem extends OfTurn {
  kind: "tool";
  id: string;
  name: string;
  input: unknown;
  cut: boolean;
  result: { content: string; isError: boolean; cut: boolean } | null;
}

export interface NoteItem extends OfTurn {
  kind: "retry" | "status" | "end" | "check";
  text: string;
  bad: boolean;
}

/** Waits for one turn at the model's server, one after the other for the same cause. */
export interface WaitItem extends OfTurn {
  kind: "wait";
  cause: string;
  count: number;
  seconds: number;
}

type Said = TextItem | ToolItem | NoteItem | WaitItem;

export type Item = Said & { key: number };

export type AttemptEvent =
  | { name: "message"; data: Message }
  | { name: "completion"; data: Completion }
  | { name: "error"; data: Failure }
  | { name: "check"; data: Checked };

/** One attempt as far as its events have come. */
export class Attempt {
  readonly items: Item[] = [];
  status: Status = "pending";
  turn = 0;
  usage: Usage | undefined;
  patch: PatchStat | undefined;
  /** Clock of the sandbox at the first and the last event, in seconds. */
  began: number | null = null;
  last: number | null = null;
  /** What it is doing, in a few words. */
  doing = "waiting to start";
  ending: Completion | Failure | null = null;
  check: Checked | null = null;
  /** Counts every change, so that a view knows whether to draw. */
  version = 0;
  private key = 0;

  constructor(readonly id: number) {}

  apply(event: AttemptEvent): void {
    this.version += 1;
    if (event.name === "check") {
      // Its time is not the attempt's.
      this.check = event.data;
      const { text, bad } = checkLabel(event.data);
      this.add({ kind: "check", text: `${text}.`, bad, turn: this.turn, try_: 0, superseded: false });
      return;
    }
    this.began ??= event.data.time;
    this.last = event.data.time;
    if (event.name === "message") this.message(event.data);
    else this.end(event);
  }

  private end(event: Extract<AttemptEvent, { name: "completion" | "error" }>): void {
    this.status = event.data.status;
    this.turn = event.data.turns;
    this.usage = event.data.usage;
    this.ending = event.data;
    this.doing = "";
    const words =
      event.name === "completion"
        ? stopWords(event.data.stop_reason)
        : sentences(event.data.message, event.data.remedy);
    this.add({ kind: "end", text: words, bad: event.name === "error", turn: this.turn, try_: 0, superseded: false });
  }

  private message(data: Message): void {
    if (this.status === "pending") this.status = "running";
    const turn = data.turn ?? this.turn;
    const try_ = data.try ?? 1;
    if (turn > this.turn) this.turn = turn;
    const place = { turn, try_, superseded: false };
    switch (data.type) {
      case "agent_output":
      case "thinking":
        this.say(data.type === "thinking" ? "thinking" : "text", data.content ?? "", place);
        this.doing = data.type === "thinking" ? "thinking" : "writing";
        break;
      case "tool_call":
        this.doing = `using ${visible(data.name ?? "a tool")}`;
        this.add({
          kind: "tool", id: data.id ?? "", name: data.name ?? "", input: data.input,
          cut: data.truncated ?? false, result: null, ...place,
        });
        break;
      case "tool_result":
        this.result(data);
        this.doing = "waiting for the model";
        break;
      case "usage":
        this.usage = data.total ?? this.usage;
        break;
      case "retry":
        this.retry(data, place);
        break;
      case "wait":
        this.wait(data, place);
        break;
      case "patch":
        this.patch = data.patch ?? undefined;
        this.doing = "handing over its patch";
        break;
      case "status":
        this.doing = visible(data.content ?? data.state ?? "") || this.doing;
        if (data.state === "notice")
          this.add({ kind: "status", text: visible(data.content ?? ""), bad: false, ...place });
        break;
    }
  }

  private say(kind: "text" | "thinking", content: string, place: OfTurn): void {
    const open = this.items.at(-1);
    const text = visible(content);
    if (open && open.kind === kind && open.turn === place.turn && open.try_ === place.try_) {
      open.blocks.append(text);
      open.characters += text.length;
      return;
    }
    const blocks = new Blocks();
    blocks.append(text);
    this.add({ kind, blocks, characters: text.length, ...place });
  }

  private result(data: Message): void {
    for (let at = this.items.length - 1; at >= 0; at--) {
      const item = this.items[at];
      if (item?.kind === "tool" && item.id === data.id && item.result === null) {
        item.result = {
          content: data.content ?? "",
          isError: data.is_error ?? false,
          cut: data.truncated ?? false,
        };
        return;
      }
    }
  }

  private retry(data: Message, place: OfTurn): void {
    for (let at = this.items.length - 1; at >= 0; at--) {
      const item = this.items[at];
      if (!item || item.turn < place.turn) break;
      // The event names the try that failed.
      const said = item.kind === "text" || item.kind === "thinking" || item.kind === "tool";
      if (said && item.turn === place.turn && item.try_ <= place.try_) item.superseded = true;
    }
    const pause = data.wait_seconds ?? 0;
    const wait = pause >= 1 ? `in ${Math.round(pause)} s` : "at once";
    this.doing = `waiting to ask again (${wait})`;
    this.add({
      kind: "retry", bad: false, ...place,
      text: `The request failed and is repeated ${wait}: ${visible(data.message ?? data.code ?? "")}`,
    });
  }

  private wait(data: Message, place: OfTurn): void {
    const cause = visible(data.message ?? data.cause ?? "");
    const seconds = data.seconds ?? 0;
    this.doing = `waiting ${duration(seconds)} for its turn: ${cause}`;
    const open = this.items.at(-1);
    if (open?.kind === "wait" && open.cause === cause && open.turn === place.turn && open.try_ === place.try_) {
      open.count += 1;
      open.seconds += seconds;
    } else this.add({ kind: "wait", cause, count: 1, seconds, ...place });
  }

  private add(item: Said): void {
    this.items.push({ ...item, key: this.key++ });
  }
}

/** A wait in plain words: it is no failure, and nothing is said anew. */
export const waitWords = ({ cause, count, seconds }: WaitItem): string =>
  `${count === 1 ? `Waits ${duration(seconds)}` : `Waits ${count} times, ${duration(seconds)} in all,`} for its turn: ${cause}.`;

const STOPS: Record<string, string> = {
  end_turn: "Finished.",
  limit_turns: "Stopped at its limit of turns; its patch is kept.",
  limit_tokens: "Stopped at its limit of tokens; its patch is kept.",
  limit_seconds: "Stopped at its limit of time; its patch is kept.",
  limit_cost: "Stopped at its limit of cost; its patch is kept.",
  context_window: "Stopped where the model's context was full; its patch is kept.",
};

export const stopWords = (reason: string | null | undefined): string =>
  reason ? (STOPS[reason] ?? `Stopped: ${reason}.`) : "";

/** How a check went, in a few words; `bad` where it found something. */
export function checkLabel(check: Pick<CheckResult, "status" | "seconds"> & { exit_code?: number | null }): { text: string; mark: string; bad: boolean } {
  switch (check.status) {
    case "passed":
      return { text: `Check passed in ${duration(check.seconds)}`, mark: "✓", bad: false };
    case "failed":
      return { text: `Check failed with exit code ${check.exit_code} after ${duration(check.seconds)}`, mark: "✕", bad: true };
    case "timed_out":
      return { text: `Check stopped after ${duration(check.seconds)}: it took too long`, mark: "✕", bad: true };
    case "cancelled":
      return { text: "Check cancelled with the run", mark: "–", bad: false };
    case "interrupted":
      return { text: "Check interrupted: the gateway ended", mark: "–", bad: false };
    case "not_run":
      return { text: "Check could not be run", mark: "–", bad: true };
  }
}
