/** What one attempt said and did. However long it is, only what can be seen is in the page. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Attempt, Item, TextItem } from "../../../run/items";
import { waitWords } from "../../../run/items";
import { read, type Block } from "../../../text/blocks";
import { plural } from "../../../text/format";
import { Markdown } from "../../../text/Markdown";
import { useElementVirtual } from "../../../ui/virtual";
import { Tool } from "./Tool";
import "../../../text/text.css";
import "./style.css";

interface Row {
  key: string;
  item: Item;
  block?: Block;
  /** First row of its item. */
  first: boolean;
  newTurn: boolean;
  /** First row of what a retry superseded. */
  newlySuperseded: boolean;
}

/** Nearer to the end than this, a reader is taken to be following. */
const FOLLOWING_PX = 60;

/** How much of what is seen a page's key goes on by, as in browsers. */
const PAGE = 0.875;

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
  const rows = useMemo(() => rowsOf(attempt.items, thinking), [attempt, version, thinking]);
  const virtual = useElementVirtual(() => box.current, {
    rows,
    estimateSize: () => 48,
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
  const toEnd = (): void => {
    following.current = true;
    setAway(false);
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  // In one step: the way that a browser glides ends where a row turns out to be of another height.
  const onKeyDown = (event: KeyboardEvent): void => {
    const element = box.current;
    if (!element || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const page = element.clientHeight * PAGE;
    const ways: Record<string, () => void> = {
      Home: () => element.scrollTo({ top: 0 }),
      End: toEnd,
      PageUp: () => element.scrollBy({ top: -page }),
      PageDown: () => element.scrollBy({ top: page }),
    };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    way();
  };
  return (
    <div class="transcript-frame">
      <div
        ref={box}
        class="transcript"
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={`What attempt ${attempt.id} says and does`}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
      >
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
        <button class="to-end" onClick={toEnd}>
          ↓ Latest
        </button>
      )}
    </div>
  );
}

function rowsOf(items: readonly Item[], thinking: boolean): Row[] {
  const rows: Row[] = [];
  let turn = 0;
  let superseded = false;
  for (const item of items) {
    const newTurn = item.turn > turn;
    if (newTurn) turn = item.turn;
    const start = { item, first: true, newTurn, newlySuperseded: item.superseded && !superseded };
    superseded = item.superseded;
    if ((item.kind === "text" || item.kind === "thinking") && (item.kind === "text" || thinking))
      item.blocks.all().forEach((block, at) => {
        const key = `${item.key}.${block.key}`;
        rows.push(at === 0 ? { ...start, key, block } : { key, item, block, first: false, newTurn: false, newlySuperseded: false });
      });
    else rows.push({ ...start, key: `${item.key}` });
  }
  return rows;
}

function RowView({ row, opened }: { row: Row; opened: Set<number> }) {
  const { item, block } = row;
  const classes = [item.kind, item.superseded && "superseded"].filter(Boolean).join(" ");
  return (
    <>
      {row.newTurn && item.turn > 0 && <p class="turn-mark soft">Turn {item.turn}</p>}
      {row.newlySuperseded && <p class="superseded-mark soft">Said before the request failed; said anew below.</p>}
      <div class={classes}>
        {item.kind === "tool" && <Tool item={item} result={item.result} opened={opened} />}
        {(item.kind === "retry" || item.kind === "status" || item.kind === "end" || item.kind === "check") && (
          <p class={item.bad ? "bad" : item.kind === "retry" ? "warn" : "soft"}>{item.text}</p>
        )}
        {item.kind === "wait" && <p class="soft">{waitWords(item)}</p>}
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
