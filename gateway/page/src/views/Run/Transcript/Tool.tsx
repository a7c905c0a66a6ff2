/** A tool call, folded: in one line what was asked and what came of it. */
import { useState } from "preact/hooks";
import type { ToolItem } from "../../../run/items";
import { plural } from "../../../text/format";
import { visible } from "../../../text/visible";
import { edited, gist, headline, lines } from "./gist";
import { Long } from "./Long";

interface Props {
  item: ToolItem & { key: number };
  /** It comes later, and the item stays the same: this is what tells that there is something to draw. */
  result: ToolItem["result"];
  opened: Set<number>;
}

export function Tool({ item, result, opened }: Props) {
  const [open, setOpen] = useState(opened.has(item.key));
  const [folder, name] = gist(item.input);
  return (
    <details
      class="tool-call"
      open={open}
      onToggle={(event) => {
        const now = event.currentTarget.open;
        if (now) opened.add(item.key);
        else opened.delete(item.key);
        setOpen(now);
      }}
    >
      <summary>
        <span class="tool-name" title={visible(item.name)}>{headline(item)}</span>
        <span class="tool-gist" title={`${folder}${name}`}>
          {folder && <span class="tool-folder">{folder}</span>}
          <span class="tool-target">{name}</span>
        </span>
        <Outcome input={item.input} result={result} />
      </summary>
      {open && <Body item={item} result={result} />}
    </details>
  );
}

function Outcome({ input, result }: Pick<ToolItem, "input" | "result">) {
  if (result === null) return <span class="soft">…</span>;
  if (result.isError) return <span class="bad">refused</span>;
  const change = edited(input);
  if (!change) return <span class="soft">{plural(lines(result.content), "line")}</span>;
  return (
    <span class="number">
      {change.added > 0 && <span class="good">+{change.added}</span>}
      {change.added > 0 && change.removed > 0 && " "}
      {change.removed > 0 && <span class="bad">−{change.removed}</span>}
    </span>
  );
}

const TONES: Record<string, "add" | "del"> = { old_str: "del", new_str: "add", file_text: "add", insert_text: "add" };

function Body({ item, result }: Pick<Props, "item" | "result">) {
  return (
    <div class="tool-body">
      {item.cut && <p class="soft">Its arguments are too long for the stream; the transcript has them.</p>}
      {argumentsOf(item).map(([name, value]) => (
        <div key={name}>
          <p class="soft">{name}</p>
          <Long text={value} label={`${name} of ${item.name}`} tone={TONES[name]} />
        </div>
      ))}
      {result && (
        <div>
          <p class={result.isError ? "bad" : "soft"}>{result.isError ? "refused with" : "result"}</p>
          <Long text={result.content} label={`Result of ${item.name}`} />
          {result.cut && <p class="soft">Cut here; the transcript has all of it.</p>}
        </div>
      )}
    </div>
  );
}

function argumentsOf(item: ToolItem): [string, string][] {
  if (typeof item.input !== "object" || item.input === null) return item.input === undefined ? [] : [["input", String(item.input)]];
  return Object.entries(item.input).map(([name, value]) => [visible(name), typeof value === "string" ? value : JSON.stringify(value)]);
}
