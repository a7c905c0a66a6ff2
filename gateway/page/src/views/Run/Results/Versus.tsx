/** Says what is shown below, an attempt or two of them, and what can be done with it. */
import type { ComponentChildren } from "preact";
import type { Run } from "../../../api/types";
import { choiceOf } from "../name";

interface Props {
  run: Run;
  shown: number;
  against: number | null;
  onShow(shown: number, against: number | null): void;
  children: ComponentChildren;
}

export function Versus({ run, shown, against, onShow, children }: Props) {
  const choices = (but: number | null) =>
    run.variations
      .filter((one) => one.variation_id !== but)
      .map((one) => (
        <option key={one.variation_id} value={one.variation_id}>
          {choiceOf(one)}
        </option>
      ));
  return (
    <div class="versus" role="group" aria-label="What is shown below">
      <label>
        Show
        <select value={shown} onChange={(event) => onShow(Number(event.currentTarget.value), against)}>
          {choices(null)}
        </select>
      </label>
      <label>
        against
        <select value={against ?? ""} onChange={(event) => onShow(shown, Number(event.currentTarget.value) || null)}>
          <option value="">what was there</option>
          {choices(shown)}
        </select>
      </label>
      {against !== null && (
        <button class="quiet" onClick={() => onShow(against, shown)}>
          Swap
        </button>
      )}
      <div class="versus-actions">{children}</div>
    </div>
  );
}
