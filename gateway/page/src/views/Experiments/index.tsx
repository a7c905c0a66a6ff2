/** The experiments of the data directory: how far each is. */
import { useEffect, useState } from "preact/hooks";
import { api, ask, Problem } from "../../api/client";
import type { ExperimentSummary } from "../../api/types";
import { ago, moment } from "../../text/format";
import { firstLine } from "../../text/visible";
import "./style.css";

const REFRESH_MS = 4000;

export default function Experiments() {
  const [found, setFound] = useState<ExperimentSummary[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const load = async (): Promise<void> => {
    try {
      setFound((await ask(api.GET("/experiments"))).experiments);
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
  };
  useEffect(() => {
    document.title = "Experiments · AIdeator";
    void load();
    const timer = setInterval(() => {
      if (!document.hidden) void load();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  return (
    <div class="list-view experiments">
      <div class="list-head">
        <h1>Experiments</h1>
        <a href="#/">Runs</a>
      </div>
      {problem && (
        <p class="notice bad" role="alert">
          {problem} The page keeps asking.
        </p>
      )}
      {found === null && !problem && <p class="empty">Loading …</p>}
      {found?.length === 0 && (
        <div class="empty">
          <h2>No experiments yet</h2>
          <p>
            An experiment lets every condition do every task several times, and says what of it is more
            than chance. <code>aideator experiment run FILE</code> carries one out.
          </p>
        </div>
      )}
      {found !== null && found.length > 0 && (
        <ul class="runs" aria-label="Experiments">
          {found.map((one) => (
            <Row key={one.name} one={one} />
          ))}
        </ul>
      )}
    </div>
  );
}

function Row({ one }: { one: ExperimentSummary }) {
  return (
    <li class="experiment-row">
      <div class="run-what">
        <a class="run-link cut" href={`#/experiments/${one.name}`}>
          {one.name}
        </a>
        {(one.description || one.scripted) && (
          <p class="soft cut">
            {one.scripted && <strong class="warn">Scripted demo, not an LLM </strong>}
            {firstLine(one.description ?? "")}
          </p>
        )}
        {one.problem && <p class="bad">{one.problem}</p>}
      </div>
      <span class="number">
        {!one.problem && (
          <>
            {one.done} of {one.attempts} <span class="soft">attempts</span>
          </>
        )}
      </span>
      <time class="soft number" dateTime={one.changed_at} title={moment(one.changed_at)}>
        {ago(one.changed_at)}
      </time>
    </li>
  );
}
