/**
 * One run as the page knows it: its state, and what its stream has said.
 *
 * Events are put into the attempts once per animation frame, however many have come.
 */
import { signal } from "@preact/signals";
import type { EventSourceMessage } from "eventsource-parser";
import { api, ask, Problem } from "../api/client";
import { follow, type Connection } from "../api/stream";
import { hasEnded, type Run } from "../api/types";
import { announce } from "../ui/announce";
import { Attempt, checkLabel, type AttemptEvent } from "./items";

const REFRESH_MS = 150;
/** A run that waits for its turn says nothing, and moves up all the same. */
const QUEUE_MS = 2000;

export class Session {
  readonly run = signal<Run | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly connection = signal<Connection | null>(null);
  /** Counts what was put into the attempts. */
  readonly frame = signal(0);
  readonly attempts = new Map<number, Attempt>();
  /** Everything that came, in the order of the log: what a replay plays. */
  readonly timeline: AttemptEvent[] = [];
  private applied = 0;
  private scheduled = false;
  private readonly stopping = new AbortController();
  private streaming = false;
  private refreshing: ReturnType<typeof setTimeout> | null = null;
  private queued: ReturnType<typeof setTimeout> | null = null;
  private announced = false;

  constructor(readonly id: string) {}

  async open(): Promise<void> {
    await this.refresh();
    const run = this.run.value;
    if (run && !hasEnded(run.status)) this.stream();
  }

  /** Read the stream: at once while the run works, later only for who wants to see it. */
  stream(): void {
    if (this.streaming || this.stopping.signal.aborted) return;
    this.streaming = true;
    void follow(
      `/runs/${encodeURIComponent(this.id)}/stream`,
      {
        onEvent: (event) => this.take(event),
        onConnection: (connection) => {
          const before = this.connection.value?.state;
          this.connection.value = connection;
          if (connection.state === "gone") {
            // The stream alone could not say whether it is the run that is gone.
            void this.refresh();
          }
          if (connection.state === "waiting" && before === "live") announce("Connection lost, coming back.");
          if (connection.state === "ended") this.refreshSoon();
        },
      },
      this.stopping.signal,
    );
  }

  close(): void {
    this.stopping.abort();
    if (this.refreshing !== null) clearTimeout(this.refreshing);
    if (this.queued !== null) clearTimeout(this.queued);
  }

  async refresh(): Promise<void> {
    try {
      const run = await ask(api.GET("/runs/{run_id}", { params: { path: { run_id: this.id } } }));
      this.run.value = run;
      this.problem.value = null;
      for (const one of run.variations) this.attempt(one.variation_id);
      if (this.queued !== null) clearTimeout(this.queued);
      const waits = run.queue_position !== null && !this.stopping.signal.aborted;
      this.queued = waits ? setTimeout(() => void this.refresh(), QUEUE_MS) : null;
    } catch (error) {
      if (error instanceof Problem) this.problem.value = error;
      else throw error;
    }
  }

  attempt(id: number): Attempt {
    let found = this.attempts.get(id);
    if (!found) this.attempts.set(id, (found = new Attempt(id)));
    return found;
  }

  private take(event: EventSourceMessage): void {
    const name = event.event ?? "message";
    if (name === "end") {
      this.refreshSoon();
      if (this.announced) announce("The run has ended.");
      return;
    }
    if (name !== "message" && name !== "completion" && name !== "error" && name !== "check") return;
    this.timeline.push({ name, data: JSON.parse(event.data) } as AttemptEvent);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const flush = (): void => {
      this.scheduled = false;
      this.apply();
    };
    // A hidden tab has no animation frames.
    if (document.hidden) setTimeout(flush, 250);
    else requestAnimationFrame(flush);
  }

  private apply(): void {
    const live = this.connection.value?.state === "live";
    for (; this.applied < this.timeline.length; this.applied++) {
      const event = this.timeline[this.applied];
      if (!event) break;
      this.attempt(event.data.variation_id).apply(event);
      if (event.name === "message" && event.data.type !== "patch") continue;
      this.refreshSoon();
      if (event.name !== "message" && live && !hasEnded(this.run.value?.status ?? "pending")) {
        this.announced = true;
        announce(event.name === "check" ? `Attempt ${event.data.variation_id}: ${checkLabel(event.data).text}.` : `Attempt ${event.data.variation_id} ${event.data.status}.`);
      }
    }
    this.frame.value += 1;
  }

  private refreshSoon(): void {
    if (this.refreshing !== null) return;
    this.refreshing = setTimeout(() => {
      this.refreshing = null;
      void this.refresh();
    }, REFRESH_MS);
  }
}
