/** Transcripts of a run that has ended, whole or played again at the pace they had. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Attempt, type AttemptEvent } from "../../../run/items";
import type { Session } from "../../../run/session";
import type { Run } from "../../../api/types";
import { duration } from "../../../text/format";
import { useShortcuts } from "../../../ui/shortcuts";
import { ColumnRow } from "../Columns";
import { complain } from "../../../ui/announce";
import { download } from "../download";
import "./style.css";

const SPEEDS = [1, 2, 4, 8, 16, 32];

/** The attempts as they stood at a moment, moved forward cheaply and back by starting over. */
class Tape {
  attempts: Attempt[];
  private at = 0;

  constructor(private readonly events: readonly AttemptEvent[], private readonly ids: number[]) {
    this.attempts = ids.map((id) => new Attempt(id));
  }

  seek(time: number): void {
    const passed = this.events[this.at - 1];
    if (passed && passed.data.time > time) {
      this.at = 0;
      this.attempts = this.ids.map((id) => new Attempt(id));
    }
    const byId = new Map(this.attempts.map((attempt) => [attempt.id, attempt]));
    for (; this.at < this.events.length; this.at++) {
      const event = this.events[this.at];
      if (!event || event.data.time > time) break;
      byId.get(event.data.variation_id)?.apply(event);
    }
  }
}

export function Replay({ session, run }: { session: Session; run: Run }) {
  useEffect(() => session.stream(), [session]);
  const frame = session.frame.value;
  const complete = session.connection.value?.state === "ended";
  const ids = run.variations.map((one) => one.variation_id);
  // Sorted by time: each sandbox has its own order, together they may be a little out of it.
  const events = useMemo(() => (complete ? [...session.timeline].sort((a, b) => a.data.time - b.data.time) : []), [complete, frame]);
  const tape = useMemo(() => new Tape(events, ids), [events]);
  const first = events[0]?.data.time ?? 0;
  const last = events.at(-1)?.data.time ?? 0;
  const length = Math.max(0, last - first);
  /** Seconds from the start; null shows all of it. */
  const [position, setPosition] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const moment = useRef(0);

  useEffect(() => {
    if (!playing) return;
    let before = performance.now();
    let request = requestAnimationFrame(function step(now) {
      moment.current = Math.min(length, moment.current + ((now - before) / 1000) * speed);
      before = now;
      setPosition(moment.current);
      if (moment.current < length) request = requestAnimationFrame(step);
      else setPlaying(false);
    });
    return () => cancelAnimationFrame(request);
  }, [playing, speed, length]);

  const seek = (seconds: number): void => {
    moment.current = Math.min(length, Math.max(0, seconds));
    setPosition(moment.current);
  };
  const toggle = (): void => {
    if (!playing && (position === null || position >= length)) seek(0);
    setPlaying(!playing);
  };
  useShortcuts("Transcripts", [
    { keys: [" "], what: "Play or pause", run: toggle },
    { keys: ["ArrowLeft", "ArrowRight"], shown: "← →", what: "Back or on by five seconds", run: (key) => seek((position ?? length) + (key === "ArrowLeft" ? -5 : 5)) },
  ]);

  let attempts = ids.map((id) => session.attempt(id));
  if (position !== null && events.length > 0) {
    tape.seek(first + position);
    attempts = tape.attempts;
  }
  const shown = position ?? length;
  return (
    <>
      <div class="player" role="group" aria-label="Replay">
        <button onClick={toggle} disabled={events.length === 0}>
          {playing ? "Pause" : "Play"}
        </button>
        <input
          type="range"
          min={0}
          max={Math.round(length * 1000)}
          value={Math.round(shown * 1000)}
          disabled={events.length === 0}
          aria-label="Moment of the run"
          aria-valuetext={`${duration(shown)} of ${duration(length)}`}
          onInput={(event) => {
            setPlaying(false);
            seek(event.currentTarget.valueAsNumber / 1000);
          }}
        />
        <span class="number soft player-time">
          {complete ? `${duration(shown)} of ${duration(length)}` : "Loading …"}
        </span>
        <select aria-label="Speed" value={speed} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>
          {SPEEDS.map((one) => (
            <option key={one} value={one}>
              {one}×
            </option>
          ))}
        </select>
        {position !== null && (
          <button
            class="quiet"
            onClick={() => {
              setPlaying(false);
              setPosition(null);
            }}
          >
            Show all
          </button>
        )}
        <span class="player-files">
          {ids.map((id) => (
            <Download key={id} runId={run.run_id} id={id} />
          ))}
        </span>
      </div>
      <ColumnRow run={run} attempts={attempts} now={() => first + shown} replayed={position !== null} />
    </>
  );
}

function Download({ runId, id }: { runId: string; id: number }) {
  const save = async (): Promise<void> => {
    const problem = await download(`/runs/${runId}/variations/${id}/transcript`, `${runId}-${id}.jsonl`);
    if (problem) complain(problem);
  };
  return (
    <button class="quiet" title={`Transcript of attempt ${id} as JSON lines`} onClick={() => void save()}>
      ⤓ {id}
      <span class="hidden"> download the transcript</span>
    </button>
  );
}
