/** Records which attempt is the one, and why. */
import { useState } from "preact/hooks";
import { api, ask, Problem } from "../../../api/client";
import type { Run } from "../../../api/types";
import { announce } from "../../../ui/announce";
import { Dialog } from "../../../ui/Dialog";
import "./style.css";

interface Props {
  run: Run;
  /** Null records that none is good enough. */
  id: number | null;
  onClose(): void;
  onChosen(): void;
}

export function Choose({ run, id, onClose, onChosen }: Props) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [sending, setSending] = useState(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    // Each that is sent is recorded, so one is sent.
    if (sending) return;
    setSending(true);
    setProblem(null);
    try {
      await ask(
        api.POST("/runs/{run_id}/select", {
          params: { path: { run_id: run.run_id } },
          body: { winning_variation_id: id, ...(reason.trim() ? { reason: reason.trim() } : {}) },
        }),
      );
      announce(id === null ? "Recorded: none of them." : `Attempt ${id} is chosen.`);
      onChosen();
      onClose();
    } catch (error) {
      setSending(false);
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    }
  };
  const before = run.winning_variation_id;
  const title = id === null ? "None is good enough" : `Choose attempt ${id}`;
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="choose" onSubmit={(event) => void send(event)}>
        {before && before !== id && <p>It takes the place of attempt {before}; that choice stays in the history.</p>}
        <label>
          {id === null ? "Why none of them?" : "Why this one?"} <span class="soft">(optional, kept with the choice)</span>
          <textarea
            rows={3}
            autoFocus
            value={reason}
            aria-invalid={problem ? "true" : undefined}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="bad" role="alert">
            {problem}
          </p>
        )}
        <p class="dialog-actions">
          <button type="button" onClick={onClose}>
            Not yet
          </button>
          <button class="primary" type="submit" disabled={sending}>
            {id === null ? "Record that" : title}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
