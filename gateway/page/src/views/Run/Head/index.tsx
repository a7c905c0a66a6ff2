/** What was asked, of what, and how it stands. */
import { useState } from "preact/hooks";
import type { Session } from "../../../run/session";
import { hasEnded, type Run } from "../../../api/types";
import { ago, cost, moment, repositoryName } from "../../../text/format";
import { firstLine, sentences, visible } from "../../../text/visible";
import { Dialog } from "../../../ui/Dialog";
import { Status } from "../../../ui/Status";
import "./style.css";

interface Props {
  run: Run;
  session: Session;
  onCancel(): Promise<boolean>;
  onDelete(): Promise<boolean>;
}

/** A title this long fits on the two lines it has in a narrow window, and in one of 900 px. */
const TITLE = 50;
const WIDE_TITLE = 120;

export function Head({ run, session, onCancel, onDelete }: Props) {
  const [asking, setAsking] = useState(false);
  const [cancelling, setCancelling] = useState(false);
  const ended = hasEnded(run.status);
  const spent = cost(run.variations.map((one) => one.usage), run);
  const line = firstLine(run.prompt, 300);
  const whole = visible(run.prompt);
  const more = whole.trim() !== line || line.length > TITLE;
  const cutWhereNarrow = whole.trim() === line && line.length <= WIDE_TITLE;
  const where = [run.backend, run.isolation].filter((one, at, all) => one && all.indexOf(one) === at).join(", ");
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{line}</h1>
        <div class="row">
          <Connection session={session} />
          {ended ? (
            <button class="quiet" onClick={() => setAsking(true)}>
              Delete
            </button>
          ) : (
            <button
              class="danger"
              disabled={cancelling}
              onClick={() => {
                setCancelling(true);
                void onCancel().then(() => setCancelling(false));
              }}
            >
              {cancelling ? "Cancelling …" : "Cancel run"}
            </button>
          )}
        </div>
      </div>
      <p class="facts">
        <Status status={run.status} />
        {run.queue_position !== null && <span>place {run.queue_position} in the queue</span>}
        <span title={visible(run.github_url)}>{visible(repositoryName(run.github_url))}</span>
        {run.ref && <span>{visible(run.ref)}</span>}
        {run.commit && <code title={run.commit}>{run.commit.slice(0, 10)}</code>}
        {run.scripted ? <strong class="warn">scripted demo, not an LLM</strong> : <span>{visible(run.model)}</span>}
        {where && <span class="soft">in {where}</span>}
        {run.copies && <span class="soft">copies: {run.copies}</span>}
        {spent && <span class="soft number">{spent}</span>}
        <time class="soft" dateTime={run.created_at} title={moment(run.created_at)}>
          {ago(run.created_at)}
        </time>
      </p>
      {(more || run.check) && (
        <div class="run-asked">
          {more && (
            <details class={cutWhereNarrow ? "whole-prompt narrow-only" : "whole-prompt"}>
              <summary class="soft">Whole prompt</summary>
              <pre tabIndex={0} role="group" aria-label="Whole prompt">{whole}</pre>
            </details>
          )}
          {run.check && (
            <p class="soft cut run-check" title={visible(run.check)}>
              check: <code>{firstLine(run.check, 300)}</code>
            </p>
          )}
        </div>
      )}
      {run.message && (
        <p class="notice bad">
          {sentences(run.message, run.remedy)}
        </p>
      )}
      {asking && (
        <Dialog title="Delete this run?" onClose={() => setAsking(false)}>
          <p>Its log, its patches and what was chosen go with it. This cannot be taken back.</p>
          <p class="dialog-actions">
            <button onClick={() => setAsking(false)}>Keep it</button>
            <button
              class="danger"
              onClick={() => {
                setAsking(false);
                void onDelete();
              }}
            >
              Delete
            </button>
          </p>
        </Dialog>
      )}
    </header>
  );
}

/** How the page is connected, in plain words. */
function Connection({ session }: { session: Session }) {
  const connection = session.connection.value;
  if (!connection || connection.state === "ended") return null;
  const words = {
    connecting: "connecting …",
    live: "live",
    waiting: "",
    gone: "The run is gone.",
    refused: "The server asks for a token.",
  };
  const lost = connection.state === "waiting";
  return (
    <span class={lost ? "connection warn" : "connection soft"} data-state={connection.state}>
      <span aria-hidden="true">{connection.state === "live" ? "●" : "○"}</span>{" "}
      {connection.state === "waiting"
        ? `${connection.reason} Coming back${connection.seconds >= 1 ? ` in ${connection.seconds} s` : ""}; nothing is lost.`
        : words[connection.state]}
    </span>
  );
}
