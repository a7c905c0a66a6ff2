/** A command to copy. Without the clipboard's permission the text is selected instead. */
import { useRef, useState } from "preact/hooks";
import { announce } from "../announce";
import "./style.css";

export function Copy({ text, label }: { text: string; label: string }) {
  const code = useRef<HTMLElement>(null);
  const [done, setDone] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied");
      announce("Copied.");
      setTimeout(() => setDone(""), 2000);
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setDone("Selected");
      announce("Selected; copy it with your keyboard.");
    }
  };
  return (
    <div class="copy">
      <code ref={code} tabIndex={0} aria-label={label}>
        {text}
      </code>
      <button class="quiet" onClick={copy} aria-label={`Copy: ${label}`}>
        {done || "Copy"}
      </button>
    </div>
  );
}
