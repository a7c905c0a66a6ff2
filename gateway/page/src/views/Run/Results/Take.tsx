/** How the shown attempt gets into a checkout. */
import { useState } from "preact/hooks";
import { token } from "../../../api/token";
import type { Run } from "../../../api/types";
import { Copy } from "../../../ui/Copy";
import { Dialog } from "../../../ui/Dialog";
import { download } from "../download";

export function Take({ run, id, path }: { run: Run; id: number; path: string }) {
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const header = token.value === null ? "" : ' -H "Authorization: Bearer $AIDEATOR_TOKEN"';
  return (
    <>
      <button onClick={() => setOpen(true)}>Apply or download …</button>
      {open && (
        <Dialog title={`Take attempt ${id}`} onClose={() => setOpen(false)}>
          <p>In a checkout of the repository, with the command:</p>
          <Copy label="aideator apply" text={`aideator apply ${run.run_id} ${id}`} />
          <p class="soft">Add <code>--data-dir</code> if this server was started with one.</p>
          <p>Or with git alone, from any machine that reaches this server:</p>
          <Copy label="curl and git apply" text={`curl -fsS${header} ${location.origin}${path} | git apply`} />
          {problem && (
            <p class="bad" role="alert">
              {problem}
            </p>
          )}
          <p class="dialog-actions">
            <button onClick={() => void download(path, `${run.run_id}-${id}.patch`).then(setProblem)}>Download the patch</button>
            <button onClick={() => setOpen(false)}>Close</button>
          </p>
        </Dialog>
      )}
    </>
  );
}
