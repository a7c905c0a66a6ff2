/** What one attempt said and did. However long it is, only what can be seen is in the page. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Attempt, Item, TextItem, ToolItem } from "../../../run/items";
import { read, type Block } from "../../../text/blocks";
import { count, plural } from "../../../text/format";
import { Markdown } from "../../../text/Markdown";
import { visible } from "../../../text/visible";
import { useElementVirtual } from "../../../ui/virtual";
import "../../../text/text.css";
import "./style.css";

interface Row {
  key: string;
  item: Item;
  block?: Block;
  /** First row of its item. */
  first: boolean;
  newTurn: boolean;
}

/** Nearer to the end than this, a reader is taken to be following. */
const FOLLOWING_PX = 60;

interface Props {
  attempt: Attempt;
  /** An attempt grows in place: its version is what tells that there is something to draw. */
  version: number;
  thinking: boolean;
}

export function Transcript({ attempt, version, thinking }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [opened] = useState(() => new Set<number>());
  const [away, setAway] = useState(false);
  const rows = rowsOf(attempt.items, thinking);
  const virtual = useElementVirtual(() => box.current, {
    count: rows.length,
    estimateSize: () => 48,
    getItemKey: (at) => rows[at]?.key ?? at,
    overscan: 6,
  });
  const total = virtual.getTotalSize();
  useLayoutEffect(() => {
    const element = box.current;
    if (element && following.current) element.scrollTop = element.scrollHeight;
  }, [total, version]);

  const onScroll = (): void => {
    const element = box.current;
    if (!element) return;
    following.current = element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOWING_PX;
    if (away === following.current) setAway(!following.current);
  };
  return (
    <div class="transcript-frame">
      <div ref={box} class="transcript" tabIndex={0} role="log" aria-live="off" aria-label={`What attempt ${attempt.id} says and does`} onScroll={onScroll}>
        <div class="transcript-inner" style={{ height: `${total}px` }}>
          {virtual.getVirtualItems().map((place) => {
            const row = rows[place.index];
            return row ? (
              <div key={row.key} class="transcript-row" data-index={place.index} ref={virtual.measureElement} style={{ transform: `translateY(${place.start}px)` }}>
                <RowView row={row} opened={opened} />
              </div>
            ) : null;
          })}
        </div>
      </div>
      {away && (
        <button
          class="to-end"
          onClick={() => {
            following.current = true;
            setAway(false);
            box.current?.scrollTo({ top: box.current.scrollHeight });
          }}
        >
          ↓ Latest
        </button>
      )}
    </div>
  );
}

function rowsOf(items: readonly Item[], thinking: boolean): Row[] {
  const rows: Row[] = [];
  let turn = 0;
  for (const item of items) {
    const newTurn = item.turn > turn;
    if (newTurn) turn = item.turn;
    if (item.kind === "thinking" && !thinking) {
      rows.push({ key: `${item.key}`, item, first: true, newTurn });
    } else if (item.kind === "text" || item.kind === "thinking") {
      let first = true;
      for (const block of item.blocks.all()) {
        rows.push({ key: `${item.key}.${block.key}`, item, block, first, newTurn: newTurn && first });
        first = false;
      }
    } else rows.push({ key: `${item.key}`, item, first: true, newTurn });
  }
  return rows;
}

function RowView({ row, opened }: { row: Row; opened: Set<number> }) {
  const { item, block } = row;
  const classes = [item.kind, item.superseded && "superseded"].filter(Boolean).join(" ");
  return (
    <>
      {row.newTurn && item.turn > 0 && <p class="turn-mark soft">Turn {item.turn}</p>}
      {row.first && item.superseded && (
        <p class="superseded-mark soft">Said before the request failed; said anew below.</p>
      )}
      <div class={classes}>
        {item.kind === "tool" && <Tool item={item} answered={item.result !== null} opened={opened} />}
        {(item.kind === "retry" || item.kind === "status" || item.kind === "end" || item.kind === "check") && (
          <p class={item.bad ? "bad" : item.kind === "retry" ? "warn" : "soft"}>{item.text}</p>
        )}
        {item.kind === "thinking" && row.first && <p class="thinking-mark soft">Thinking{!block && ` · ${plural((item as TextItem).characters, "character")}`}</p>}
        {block && (
          <div class="prose">
            <Markdown tokens={read(block)} />
          </div>
        )}
      </div>
    </>
  );
}

/** A tool call, folded; in one line what it was asked. */
function Tool({ item, opened }: { item: ToolItem & { key: number }; answered: boolean; opened: Set<number> }) {
  const [open, setOpen] = useState(opened.has(item.key));
  const input = open ? argumentsOf(item) : [];
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
        <span class="tool-name" title={visible(item.name)}>{headline(item)}</span> <span class="tool-gist">{gist(item.input)}</span>{" "}
        {item.result === null ? (
          <span class="soft">…</span>
        ) : item.result.isError ? (
          <span class="bad">refused</span>
        ) : (
          <span class="soft">{plural(lines(item.result.content), "line")}</span>
        )}
      </summary>
      {open && (
        <div class="tool-body">
          {item.cut && <p class="soft">Its arguments are too long for the stream; the transcript has them.</p>}
          {input.map(([name, value]) => (
            <div key={name}>
              <p class="soft">{name}</p>
              <Long text={value} label={`${name} of ${item.name}`} />
            </div>
          ))}
          {item.result && (
            <div>
              <p class={item.result.isError ? "bad" : "soft"}>{item.result.isError ? "refused with" : "result"}</p>
              <Long text={item.result.content} label={`Result of ${item.name}`} />
              {item.result.cut && <p class="soft">Cut here; the transcript has all of it.</p>}
            </div>
          )}
        </div>
      )}
    </details>
  );
}

/** A tool of several commands is known by the command. */
function headline({ name, input }: ToolItem): string {
  const command = typeof input === "object" && input !== null ? (input as Record<string, unknown>)["command"] : null;
  return visible(typeof command === "string" && /^[a-z_]{1,30}$/.test(command) ? command : name);
}

const lines = (text: string): number => (text === "" ? 0 : text.split("\n").length);

function gist(input: unknown): string {
  if (typeof input === "string") return visible(input.slice(0, 120));
  if (typeof input !== "object" || input === null) return "";
  const words = Object.entries(input).filter(([name]) => name !== "command").map(([, value]) => value).filter((value) => typeof value === "string" && value.length < 120 && !value.includes("\n"));
  return visible(words.slice(0, 3).join(" ")).slice(0, 160);
}

function argumentsOf(item: ToolItem): [string, string][] {
  if (typeof item.input !== "object" || item.input === null) return item.input === undefined ? [] : [["input", String(item.input)]];
  return Object.entries(item.input).map(([name, value]) => [visible(name), typeof value === "string" ? value : JSON.stringify(value)]);
}

const STEP = 4000;

/** Long text in portions. */
export function Long({ text, label }: { text: string; label: string }) {
  const [most, setMost] = useState(STEP);
  return (
    <>
      <pre class="long" tabIndex={0} role="group" aria-label={visible(label)}>
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
