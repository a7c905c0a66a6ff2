/** A run: live while it works, its results once it has ended, its transcripts at any time. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, ask, Problem } from "../../api/client";
import { hasEnded, type Run as RunState } from "../../api/types";
import { Patches } from "../../run/patches";
import { Session } from "../../run/session";
import { go } from "../../router";
import { firstLine } from "../../text/visible";
import { announce } from "../../ui/announce";
import { useShortcuts } from "../../ui/shortcuts";
import { Columns } from "./Columns";
import { Head } from "./Head";
import { Replay } from "./Replay";
import { Results } from "./Results";
import "./style.css";

type Tab = "live" | "results" | "replay";

export default function Run({ id, rest }: { id: string; rest: string[] }) {
  const session = useMemo(() => new Session(id), [id]);
  const patches = useMemo(() => new Patches(id), [id]);
  const [failed, setFailed] = useState<string | null>(null);
  useEffect(() => {
    void session.open();
    return () => session.close();
  }, [session]);

  const run = session.run.value;
  const problem = session.problem.value;
  const ended = run !== null && hasEnded(run.status);
  const tab = tabOf(rest[0], ended);
  useEffect(() => {
    if (run) document.title = `${firstLine(run.prompt, 60)} · AIdeator`;
  }, [run?.prompt]);

  const base = `/runs/${encodeURIComponent(id)}`;
  useShortcuts("Run", [
    { keys: ["o"], what: "Results", run: () => go(`${base}/results`) },
    { keys: ["t"], what: ended ? "Transcripts and replay" : "Live", run: () => go(`${base}/${ended ? "replay" : "live"}`) },
  ]);

  if (problem?.status === 404 || problem?.status === 410)
    return (
      <div class="empty" role="alert">
        <h1>{run ? "This run has been deleted" : "There is no such run"}</h1>
        <p>{run ? "Its log and its patches went with it." : `The server knows no ${id}.`}</p>
        <p>
          <a href="#/">All runs</a>
        </p>
      </div>
    );
  if (!run)
    return problem ? (
      <div class="empty" role="alert">
        <p>{problem.message}</p>
        <button onClick={() => void session.open()}>Try again</button>
      </div>
    ) : (
      <p class="empty">Loading …</p>
    );

  const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
    setFailed(null);
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setFailed(error.message);
      announce(error.message);
      return false;
    }
  };
  const path = { params: { path: { run_id: id } } };
  return (
    <div class={`run-view ${tab}`}>
      <Head
        run={run}
        session={session}
        onCancel={() => attempt(() => ask(api.POST("/runs/{run_id}/cancel", path)).then(() => session.refresh()))}
        onDelete={() => attempt(() => ask(api.DELETE("/runs/{run_id}", path)).then(() => go("/")))}
      />
      {failed && (
        <p class="notice bad" role="alert">
          {failed}
        </p>
      )}
      <nav class="tabs" aria-label="Run">
        {tabsOf(run).map(([name, words]) => (
          <a key={name} href={`#${base}/${name}`} aria-current={tab === name ? "page" : undefined}>
            {words}
          </a>
        ))}
      </nav>
      {tab === "live" && <Columns session={session} run={run} />}
      {tab === "replay" && <Replay session={session} run={run} />}
      {tab === "results" && <Results run={run} session={session} patches={patches} rest={rest.slice(1)} base={`${base}/results`} />}
    </div>
  );
}

function tabOf(asked: string | undefined, ended: boolean): Tab {
  if (asked === "results") return "results";
  if (asked === "replay" || asked === "live") return ended ? "replay" : "live";
  return ended ? "results" : "live";
}

function tabsOf(run: RunState): [Tab, string][] {
  const done = run.variations.filter((one) => one.patch).length;
  return hasEnded(run.status)
    ? [["results", "Results"], ["replay", "Transcripts"]]
    : [["live", "Live"], ["results", `Results (${done} of ${run.variations.length} so far)`]];
}
