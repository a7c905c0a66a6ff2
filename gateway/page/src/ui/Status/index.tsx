/** How something stands: always a word, with a sign that does not depend on colour. */
import type { Status as Name } from "../../api/types";
import "./style.css";

const SIGNS: Record<Name, string> = {
  pending: "○",
  running: "◐",
  completed: "✓",
  failed: "✕",
  cancelled: "⊘",
  interrupted: "!",
};

export function Status({ status, children }: { status: Name; children?: string }) {
  return (
    <span class={`status ${status}`}>
      <span aria-hidden="true">{SIGNS[status]}</span> {children ?? status}
    </span>
  );
}

/** An attempt's number, the same sign for it everywhere. */
export function Number({ id, chosen = false }: { id: number; chosen?: boolean }) {
  return (
    <span class={chosen ? "attempt-number chosen" : "attempt-number"}>
      <span class="hidden">attempt </span>
      {id}
    </span>
  );
}
