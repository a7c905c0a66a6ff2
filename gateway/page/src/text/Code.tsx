/** A block of code. */
import { useMemo } from "preact/hooks";
import { highlight } from "./highlight";

export function Code({ text, language }: { text: string; language: string }) {
  const pieces = highlight(text, (language.split(/\s/, 1)[0] ?? "").toLowerCase());
  const shown = useMemo(
    () => pieces.map((piece, at) => (piece.name ? <span key={at} class={piece.name}>{piece.text}</span> : piece.text)),
    [text, language, pieces.length],
  );
  return (
    <pre class="code-block" tabIndex={0} aria-label={language ? `Code, ${language}` : "Code"} role="group">
      <code>{shown}</code>
    </pre>
  );
}
