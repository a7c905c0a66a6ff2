/** One experiment's report: the very body of the file that the server writes. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { fetchPage, Problem } from "../../../api/client";
import { complain } from "../../../ui/announce";
import { download } from "../../Run/download";
import { drawn } from "./drawn";
import "../../../../../aideator_gateway/experiments/report/report.css";
import "./style.css";

export default function Report({ name }: { name: string }) {
  const [body, setBody] = useState<ComponentChildren>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [loading, setLoading] = useState(true);
  const path = `/experiments/${encodeURIComponent(name)}/report.html`;

  const load = async (): Promise<void> => {
    setLoading(true);
    try {
      const article = (await fetchPage(`${path}?style=false`)).querySelector("article");
      setBody(article && drawn(article));
      setProblem(null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    } finally {
      setLoading(false);
    }
  };
  useEffect(() => {
    document.title = `${name} · AIdeator`;
    void load();
  }, [name]);
  const save = async (): Promise<void> => {
    const failed = await download(path, `${name}.html`);
    if (failed) complain(failed);
  };

  return (
    <div class="report-view">
      <nav class="row" aria-label="Report">
        <a class="grow" href="#/experiments">
          All experiments
        </a>
        <a class="button" href={`#/experiments/${encodeURIComponent(name)}/judge`}>
          Judge attempts blindly
        </a>
        <button disabled={loading} onClick={() => void load()}>
          Look again
        </button>
        <button onClick={() => void save()}>Download</button>
      </nav>
      {problem && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      {body ?? (!problem && <p class="empty">{loading ? "Computing the figures …" : "There is nothing in it."}</p>)}
    </div>
  );
}
