/** All runs, newest first: how they stand, what was asked, what was chosen. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ask, Problem } from "../../api/client";
import { hasEnded, type Run } from "../../api/types";
import { go } from "../../router";
import { readiness } from "../../server";
import { ago, cost, moment, plural, repositoryName } from "../../text/format";
import { firstLine, visible } from "../../text/visible";
import { announce, complain } from "../../ui/announce";
import { Dialog } from "../../ui/Dialog";
import { useShortcuts } from "../../ui/shortcuts";
import { Number, Status } from "../../ui/Status";
import "./style.css";

const PAGE = 50;
const REFRESH_MS = 4000;

export function List() {
  const [runs, setRuns] = useState<Run[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [search, setSearch] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [doomed, setDoomed] = useState<Run | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const end = useRef<HTMLDivElement>(null);
  /** Only the answer to the latest question counts. */
  const question = useRef(0);

  const load = async (cursor: string | null): Promise<void> => {
    const mine = cursor === null ? ++question.current : question.current;
    try {
      const query = { limit: PAGE, ...(cursor ? { cursor } : {}), ...(search ? { search } : {}) };
      const page = await ask(api.GET("/runs", { params: { query } }));
      if (mine !== question.current) return;
      setProblem(null);
      setRuns((before) => (cursor === null ? merge(page.runs, before, !search) : [...(before ?? []), ...page.runs]));
      setNext((before) => (cursor === null && before !== null && (runs?.length ?? 0) > PAGE ? before : page.next));
    } catch (error) {
      if (mine === question.current) setProblem(error instanceof Problem ? error.message : String(error));
    }
  };

  useEffect(() => {
    setNext(null);
    setRuns(null);
    const timer = setTimeout(() => void load(null), search ? 200 : 0);
    return () => clearTimeout(timer);
  }, [search]);

  const moving = runs?.some((run) => !hasEnded(run.status)) ?? false;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && (moving || problem)) void load(null);
    }, REFRESH_MS);
    return () => clearInterval(timer);
  });

  useEffect(() => {
    if (!end.current || next === null) return;
    const watcher = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) void load(next);
      },
      { rootMargin: "600px" },
    );
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [next]);

  useShortcuts("List", [
    { keys: ["/"], what: "Search", run: () => field.current?.focus() },
    { keys: ["j", "k"], what: "Next and previous run", run: (key) => step(key === "j" ? 1 : -1) },
  ]);

  const remove = async (run: Run): Promise<void> => {
    setDoomed(null);
    try {
      await ask(api.DELETE("/runs/{run_id}", { params: { path: { run_id: run.run_id } } }));
      setRuns((before) => before?.filter((other) => other.run_id !== run.run_id) ?? null);
      announce("Deleted.");
    } catch (error) {
      complain(`It was not deleted. ${error instanceof Problem ? error.message : String(error)}`);
    }
  };

  return (
    <div class="list-view">
      <div class="list-head">
        <h1>Runs</h1>
        <a class="grow" href="#/experiments">
          Experiments
        </a>
        <input
          ref={field}
          type="search"
          placeholder="Search prompts, repositories, labels, ids"
          aria-label="Search runs"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
      </div>
      {problem && (
        <p class="notice bad" role="alert">
          {problem} The page keeps asking.
        </p>
      )}
      {runs === null && !problem && <p class="empty">Loading …</p>}
      {runs?.length === 0 && (search ? <p class="empty">No run has “{search}” in it.</p> : <Welcome />)}
      {runs !== null && runs.length > 0 && (
        <ul class="runs" aria-label="Runs">
          {runs.map((run) => (
            <Row key={run.run_id} run={run} onDelete={() => setDoomed(run)} />
          ))}
        </ul>
      )}
      <div ref={end}>
        {next !== null && <button onClick={() => void load(next)}>More</button>}
      </div>
      {doomed && (
        <Dialog title="Delete this run?" onClose={() => setDoomed(null)}>
          <p>
            “{firstLine(doomed.prompt, 120)}” goes, with its log, its{" "}
            {plural(doomed.variations.length, "patch", "patches")} and what was chosen. This cannot be
            taken back.
          </p>
          <p class="dialog-actions">
            <button onClick={() => setDoomed(null)}>Keep it</button>
            <button class="danger" onClick={() => void remove(doomed)}>
              Delete
            </button>
          </p>
        </Dialog>
      )}
    </div>
  );
}

/** Put a fresh first page over what is there, and keep the pages behind it. */
function merge(page: Run[], before: Run[] | null, keep: boolean): Run[] {
  if (!before || !keep) return page;
  const fresh = new Set(page.map((run) => run.run_id));
  const last = page.at(-1);
  const behind = last ? before.findIndex((run) => run.run_id === last.run_id) : -1;
  return [...page, ...(behind < 0 ? [] : before.slice(behind + 1).filter((run) => !fresh.has(run.run_id)))];
}

function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>(".runs .run-link")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

function Row({ run, onDelete }: { run: Run; onDelete(): void }) {
  const labels = run.variations.map((one) => one.condition.label ?? one.condition.style).filter(Boolean);
  const prompt = firstLine(run.prompt) || "(no prompt)";
  return (
    <li class="run-row">
      <Status status={run.status} />
      <div class="run-what">
        <a class="run-link cut" href={`#/runs/${run.run_id}`}>
          {prompt}
        </a>
        <p class="soft cut">
          <span title={visible(run.github_url)}>{visible(repositoryName(run.github_url))}</span>
          {" · "}
          {plural(run.variations.length, "attempt")}
          {labels.length > 0 && ` (${labels.map((label) => visible(label ?? "")).join(", ")})`}
          {run.scripted && " · scripted demo"}
          {run.queue_position !== null && ` · place ${run.queue_position} in the queue`}
        </p>
      </div>
      <span class="run-winner">
        {run.winning_variation_id ? (
          <>
            <span class="soft">chosen</span> <Number id={run.winning_variation_id} chosen />
          </>
        ) : (
          <span class="soft">{unchosen(run)}</span>
        )}
      </span>
      <span class="run-cost soft number">{cost(run.variations.map((one) => one.usage), run)}</span>
      <time class="run-time soft number" dateTime={run.created_at} title={moment(run.created_at)}>
        {ago(run.created_at)}
      </time>
      <button
        class="quiet run-delete"
        aria-label={`Delete: ${prompt}`}
        disabled={!hasEnded(run.status)}
        title={hasEnded(run.status) ? "Delete" : "It has not ended; cancel it first."}
        onClick={onDelete}
      >
        Delete
      </button>
    </li>
  );
}

/** Why no attempt is chosen, where there was one to choose. */
function unchosen(run: Run): string {
  if ((run.selections ?? []).length > 0) return "none of them";
  const choice = hasEnded(run.status) && run.variations.some((one) => one.status === "completed");
  return choice ? "not chosen" : "";
}

function Welcome() {
  return (
    <div class="empty welcome">
      <h2>No runs yet</h2>
      <p>
        One prompt, one repository, several attempts side by side. You look at what each did, and keep
        the one you like.
      </p>
      {readiness.value?.scripted && (
        <p>The model here is a scripted demo: it costs nothing, and it is no LLM.</p>
      )}
      <button class="primary" onClick={() => go("/new")}>
        Start the first run
      </button>
    </div>
  );
}
