/** A column per attempt, filling as it works. */
import { useEffect, useReducer, useState } from "preact/hooks";
import type { Attempt } from "../../../run/items";
import type { Session } from "../../../run/session";
import { hasEnded, type Run, type Variation } from "../../../api/types";
import { cost, duration, short, tokens } from "../../../text/format";
import { Number, Status } from "../../../ui/Status";
import { nameOf } from "../name";
import { Transcript } from "../Transcript";
import "./style.css";

export function Columns({ session, run }: { session: Session; run: Run }) {
  useEffect(() => session.stream(), [session]);
  // Read, so that each batch of events draws anew.
  session.frame.value;
  return <ColumnRow run={run} attempts={run.variations.map((one) => session.attempt(one.variation_id))} now={clock} />;
}

const clock = (): number => Date.now() / 1000;

interface RowProps {
  run: Run;
  attempts: Attempt[];
  /** Seconds since the epoch, real or replayed. */
  now(): number;
  replayed?: boolean;
}

export function ColumnRow({ run, attempts, now, replayed = false }: RowProps) {
  const [thinking, setThinking] = useState(true);
  const [shown, setShown] = useState(1);
  const thinks = attempts.some((attempt) => attempt.items.some((item) => item.kind === "thinking"));
  return (
    <>
      <div class="column-tools">
        <div class="column-picks row" role="group" aria-label="Shown attempt">
          {attempts.map((attempt) => (
            <button key={attempt.id} aria-pressed={attempt.id === shown} onClick={() => setShown(attempt.id)}>
              <Number id={attempt.id} />
            </button>
          ))}
        </div>
        {thinks && (
          <label class="row">
            <input type="checkbox" checked={thinking} onChange={(event) => setThinking(event.currentTarget.checked)} />
            Show thinking
          </label>
        )}
      </div>
      <div class="columns">
        {attempts.map((attempt) => {
          const variation = run.variations.find((one) => one.variation_id === attempt.id);
          return (
            <section key={attempt.id} class={attempt.id === shown ? "column shown" : "column"} aria-label={`Attempt ${attempt.id}`}>
              {variation && <ColumnHead run={run} attempt={attempt} version={attempt.version} variation={variation} now={now} replayed={replayed} />}
              <Transcript attempt={attempt} version={attempt.version} thinking={thinking} />
            </section>
          );
        })}
      </div>
    </>
  );
}

interface HeadProps {
  run: Run;
  attempt: Attempt;
  /** An attempt grows in place: its version is what tells that there is something to draw. */
  version: number;
  variation: Variation;
  now(): number;
  replayed: boolean;
}

function ColumnHead({ run, attempt, variation, now, replayed }: HeadProps) {
  // The stream is ahead of the run's state; a replay is behind it.
  const status = replayed || attempt.status !== "pending" ? attempt.status : variation.status;
  const going = !hasEnded(status);
  const [, tick] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    if (!going || replayed) return;
    const timer = setInterval(() => tick(undefined), 500);
    return () => clearInterval(timer);
  }, [going, replayed]);
  const checking = !going && !replayed && run.check && !hasEnded(run.status) && !attempt.check && !variation.check;
  const until = going ? Math.max(now(), attempt.last ?? 0) : (attempt.last ?? 0);
  const seconds = attempt.began === null ? null : Math.max(0, until - attempt.began);
  const usage = attempt.usage;
  const spent = cost([usage], run);
  return (
    <header class="column-head">
      <p class="row">
        <Number id={attempt.id} /> <strong class="grow cut" title={nameOf(variation)}>{nameOf(variation)}</strong>
      </p>
      <p class="column-facts soft number">
        <Status status={status} />
        <span>turn {attempt.turn}</span>
        <span>{tokens(usage) > 0 ? `${short(tokens(usage))} tokens` : going ? "no tokens yet" : "no tokens"}</span>
        {spent && <span>{spent}</span>}
        {seconds !== null && <span>{duration(seconds)}</span>}
        {attempt.patch && attempt.patch.files === 0 && <span class="warn">changed nothing</span>}
        {attempt.patch && attempt.patch.files > 0 && (
          <span>
            <span class="good">+{attempt.patch.insertions}</span> <span class="bad">−{attempt.patch.deletions}</span>
          </span>
        )}
      </p>
      {going && <p class="column-doing soft cut">{attempt.doing}</p>}
      {checking && <p class="column-doing soft cut">its check is running</p>}
    </header>
  );
}
