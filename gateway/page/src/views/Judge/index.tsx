/** Blind judging: two attempts at one task, nothing of their conditions, one key for the answer. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ask, fetchBytes, newKey, Problem } from "../../api/client";
import type { Judging, JudgingPair, Verdict } from "../../api/types";
import { comparing, type FilePair } from "../../diff/compare";
import { inSlices } from "../../diff/slices";
import { readPatch } from "../../run/patches";
import { plural } from "../../text/format";
import { visible } from "../../text/visible";
import { announce } from "../../ui/announce";
import { useShortcuts } from "../../ui/shortcuts";
import { PairView } from "../Run/Diff/views";
import "./style.css";

const KEY = "aideator.judge";

const KEPT: Record<Verdict, string> = { left: "Kept: 1 is better.", right: "Kept: 2 is better.", tie: "Kept: a tie.", skip: "Skipped." };

/** A pair as it is shown, and since when. */
interface Shown {
  pair: JudgingPair;
  files: FilePair[];
  since: number;
  /** Sent again, an answer is the same judgment. */
  ids: Record<Verdict, string>;
}

export default function Judge({ name }: { name: string }) {
  // Who judges, if they say so: kept for this tab alone.
  const [given, setGiven] = useState(sessionStorage.getItem(KEY) ?? "");
  const judge = given.trim();
  const [now, setNow] = useState<Judging | null>(null);
  const [shown, setShown] = useState<Shown | null>(null);
  /** Who it was dealt to: nobody answers it under another name. */
  const [dealtTo, setDealtTo] = useState<string | null>(null);
  const [checks, setChecks] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const said = useRef<string[]>([]);
  /** Only the answer to the latest question counts. */
  const question = useRef(0);
  const working = useRef(false);
  const path = { name };

  const load = async (): Promise<void> => {
    const mine = ++question.current;
    try {
      const query = judge ? { judge } : {};
      const found = await ask(api.GET("/experiments/{name}/judging", { params: { path, query } }));
      const pair = found.pair;
      const files = pair && (await inSlices(comparing((await patchOf(pair.left)).files, (await patchOf(pair.right)).files)));
      if (mine !== question.current) return;
      setProblem(null);
      setNow(found);
      setDealtTo(judge);
      setShown(pair && files && { pair, files, since: performance.now(), ids: { left: newKey(), right: newKey(), tie: newKey(), skip: newKey() } });
      window.scrollTo(0, 0);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (mine === question.current) setProblem(error);
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(), now ? 300 : 0);
    return () => clearTimeout(timer);
  }, [name, judge]);
  useEffect(() => {
    document.title = `Judging ${name} · AIdeator`;
  }, [name]);

  /** One thing at a time: two presses are one answer. */
  const attempt = async (work: () => Promise<string>): Promise<void> => {
    if (working.current) return;
    working.current = true;
    setBusy(true);
    try {
      const words = await work();
      await load();
      announce(words);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      working.current = false;
      setBusy(false);
    }
  };

  const ready = shown !== null && dealtTo === judge;
  const answer = (verdict: Verdict): void => {
    if (!shown || !ready) return;
    void attempt(async () => {
      const id = shown.ids[verdict];
      const body = {
        id,
        verdict,
        left: refOf(shown.pair.left),
        right: refOf(shown.pair.right),
        seconds: Math.round((performance.now() - shown.since) / 100) / 10,
        ...(judge ? { judge } : {}),
      };
      await ask(api.POST("/experiments/{name}/judgments", { params: { path }, body }));
      said.current.push(id);
      return KEPT[verdict];
    });
  };
  const last = said.current.at(-1) ?? now?.last ?? null;
  const undo = (): void => {
    if (last === null) return;
    void attempt(async () => {
      await ask(api.DELETE("/experiments/{name}/judgments/{judgment_id}", { params: { path: { name, judgment_id: last } } }));
      said.current = said.current.filter((id) => id !== last);
      return "Taken back.";
    });
  };
  useShortcuts("Judging", [
    { keys: ["1", "2"], what: "1 or 2 is better", run: (key) => answer(key === "1" ? "left" : "right") },
    { keys: ["t"], what: "A tie", run: () => answer("tie") },
    { keys: ["s"], what: "Skip", run: () => answer("skip") },
    { keys: ["u"], what: "Take the last answer back", run: undo },
  ]);

  if (problem?.status === 404 && !now)
    return (
      <div class="empty" role="alert">
        <h1>There is no such experiment</h1>
        <p>The data directory knows no {visible(name)}.</p>
      </div>
    );
  return (
    <div class="judge-view" aria-busy={dealtTo !== judge}>
      <div class="judge-head">
        <h1>Which is better?</h1>
        {now && (
          <p class="soft">
            {visible(name)} · {now.judged} of {plural(now.pairs, "pair")} judged
            {now.identical > 0 && ` · ${plural(now.identical, "pair")} left out: the same patch twice`}
          </p>
        )}
        <label class="judge-name">
          Your name, if you like
          <input value={given} maxLength={80} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
      </div>
      {problem && (
        <p class="notice bad" role="alert">
          {problem.message} <button onClick={() => void load()}>Try again</button>
        </p>
      )}
      {shown ? (
        <>
          <section aria-label="Task">
            <h2>{visible(shown.pair.task)}</h2>
            <pre class="judge-prompt" tabIndex={0}>
              {visible(shown.pair.prompt)}
            </pre>
          </section>
          <label class="row">
            <input type="checkbox" checked={checks} onChange={(event) => setChecks(event.currentTarget.checked)} />
            Show what the checks said
            {checks && (
              <strong>
                1: {shown.pair.left.check ?? "no check"}, 2: {shown.pair.right.check ?? "no check"}
              </strong>
            )}
          </label>
          <PairView key={shown.ids.left} a={1} b={2} pairs={shown.files} found={[]} equal={null} />
        </>
      ) : (
        now && !problem && <Nothing now={now} />
      )}
      {now && (
        <div class="judge-actions" role="group" aria-label="Answer">
          <button class="primary" disabled={!ready || busy} onClick={() => answer("left")}>
            1 is better
          </button>
          <button class="primary" disabled={!ready || busy} onClick={() => answer("right")}>
            2 is better
          </button>
          <button disabled={!ready || busy} onClick={() => answer("tie")}>
            <kbd>t</kbd> Tie
          </button>
          <button disabled={!ready || busy} onClick={() => answer("skip")}>
            <kbd>s</kbd> Skip
          </button>
          <button class="quiet" disabled={last === null || busy} onClick={undo}>
            <kbd>u</kbd> Undo
          </button>
        </div>
      )}
      {!now && !problem && <p class="empty">Loading …</p>}
    </div>
  );

  function setName(name: string): void {
    sessionStorage.setItem(KEY, name);
    said.current = [];
    setGiven(name);
  }
}

function Nothing({ now }: { now: Judging }) {
  return (
    <div class="empty">
      {now.pairs === 0 ? (
        <p>There is nothing to judge: that takes two completed attempts at one task, under different conditions, whose patches differ.</p>
      ) : (
        <p>You have judged all {plural(now.pairs, "pair")}. Thank you.</p>
      )}
    </div>
  );
}

const refOf = (side: JudgingPair["left"]) => ({ run_id: side.run_id, variation_id: side.variation_id });

async function patchOf(side: JudgingPair["left"]) {
  return readPatch(await fetchBytes(`/runs/${encodeURIComponent(side.run_id)}/variations/${side.variation_id}/patch`));
}
