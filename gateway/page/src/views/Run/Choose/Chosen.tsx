/** What has been chosen, why, and what was before. */
import type { Run } from "../../../api/types";
import { moment } from "../../../text/format";
import { visible } from "../../../text/visible";
import { Number } from "../../../ui/Status";

export function Chosen({ run }: { run: Run }) {
  const selections = run.selections ?? [];
  const last = selections.at(-1);
  if (!last) return null;
  const earlier = selections.slice(0, -1).reverse();
  return (
    <section class="choice" aria-label="Choice">
      <p>
        {last.variation_id === null ? (
          <strong>Chosen: none of them</strong>
        ) : (
          <>
            <strong>Chosen: attempt</strong> <Number id={last.variation_id} chosen />
          </>
        )}{" "}
        {last.reason && <q>{visible(last.reason)}</q>} <span class="soft">{moment(last.selected_at)}</span>
      </p>
      {earlier.length > 0 && (
        <details>
          <summary class="soft">Before: {earlier.length}</summary>
          <ol>
            {earlier.map((one) => (
              <li key={one.selected_at}>
                {one.variation_id === null ? "none" : <Number id={one.variation_id} />} {one.reason && <q>{visible(one.reason)}</q>}{" "}
                <span class="soft">{moment(one.selected_at)}</span>
              </li>
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}
