/** Long text in portions. */
import { useState } from "preact/hooks";
import { count } from "../../../text/format";
import { visible } from "../../../text/visible";

const STEP = 4000;

interface Props {
  text: string;
  label: string;
  /** Lines that an edit takes out or puts in have the colours that they have in a diff. */
  tone?: "add" | "del" | undefined;
}

export function Long({ text, label, tone }: Props) {
  const [most, setMost] = useState(STEP);
  return (
    <>
      <pre class={tone ? `long ${tone}` : "long"} tabIndex={0} role="group" aria-label={visible(label)}>
        {visible(text.slice(0, most))}
      </pre>
      {text.length > most && (
        <button class="quiet" onClick={() => setMost(most * 4)}>
          Show more ({count(text.length - most)} characters)
        </button>
      )}
    </>
  );
}
