/** Rows of a diff, windowed over the page's own scrolling. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Cell, Relation } from "../../../diff/compare";
import { visible } from "../../../text/visible";
import { useShortcuts } from "../../../ui/shortcuts";
import { useWindowVirtual } from "../../../ui/virtual";
import type { DiffRow, FileRow, PairedRow } from "./rows";
import { Text } from "./Text";
import "../../../text/text.css";
import "./style.css";

interface Props {
  label: string;
  rows: DiffRow[];
  /** Numbers of the attempts on the left and right, where two are compared. */
  sides: [number, number] | null;
  /** Set to a path to go there. */
  target: { path: string } | null;
  onFold(path: string): void;
  onCurrent(path: string): void;
}

/**
 * Heights of rows that do not wrap, as the style has them: what is measured otherwise above the
 * window moves it, and whatever way the browser is scrolling then ends there.
 */
const HEIGHTS = { file: 44, gap: 22, note: 22, line: 20, pair: 20 };

/** Height of what sticks to the top of the window. */
const STUCK = 44 + 46;

export function Diff({ label, rows, sides, target, onFold, onCurrent }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  // What is above may grow or shrink: measure where the rows begin.
  useLayoutEffect(() => {
    const measure = (): void => {
      if (box.current) setTop(Math.round(box.current.getBoundingClientRect().top + window.scrollY));
    };
    measure();
    const watcher = new ResizeObserver(measure);
    watcher.observe(document.body);
    return () => watcher.disconnect();
  }, []);
  const virtual = useWindowVirtual({
    rows,
    estimateSize: (at) => HEIGHTS[rows[at]?.t ?? "line"],
    overscan: 16,
    scrollMargin: top,
    scrollPaddingStart: STUCK,
  });
  const shown = virtual.getVirtualItems();

  const offset = (virtual.scrollOffset ?? 0) + STUCK;
  let current = "";
  const first = virtual.getVirtualItemForOffset(Math.max(offset, top))?.index ?? 0;
  for (let at = Math.min(first, rows.length - 1); at >= 0; at--) {
    const row = rows[at];
    if (row?.t === "file") {
      current = row.path;
      break;
    }
  }
  useEffect(() => onCurrent(current), [current]);

  const to = (path: string): void => {
    const index = rows.findIndex((row) => row.t === "file" && row.path === path);
    if (index >= 0) virtual.scrollToIndex(index, { align: "start" });
  };
  useEffect(() => {
    if (target) to(target.path);
  }, [target]);
  useShortcuts("Diff", [
    {
      keys: ["j", "k"],
      what: "Next and previous file",
      run: (key) => {
        const paths = rows.filter((row) => row.t === "file").map((row) => row.path);
        const at = paths.indexOf(current);
        const next = paths[key === "j" ? at + 1 : Math.max(0, at - 1)];
        if (next !== undefined) to(next);
      },
    },
  ]);

  return (
    <div ref={box} class="diff" role="region" aria-label={label} style={{ height: `${virtual.getTotalSize()}px` }}>
      {shown.map((place) => {
        const row = rows[place.index];
        return row ? (
          <div key={row.key} class="diff-row" data-index={place.index} ref={virtual.measureElement} style={{ transform: `translateY(${place.start - top}px)` }}>
            <Row row={row} sides={sides} onFold={onFold} />
          </div>
        ) : null;
      })}
    </div>
  );
}

function Row({ row, sides, onFold }: { row: DiffRow; sides: [number, number] | null; onFold(path: string): void }) {
  switch (row.t) {
    case "file":
      return <FileHead row={row} sides={sides} onFold={onFold} />;
    case "gap":
      return <p class="diff-gap cut">{visible(row.text)}</p>;
    case "note":
      return <p class="diff-note">{visible(sides ? row.text.replace(/^A:/, `${sides[0]}:`).replace(/^B:/, `${sides[1]}:`) : row.text)}</p>;
    case "line": {
      const { kind, text, old, new: now } = row.line;
      const name = kind === "+" ? "add" : kind === "-" ? "del" : "context";
      return (
        <div class={`line ${name}`}>
          <span class="line-number">{old || ""}</span>
          <span class="line-number">{now || ""}</span>
          <span class="line-sign">{kind === "-" ? "−" : kind}</span>
          <Text text={text} mate={row.mate} language={row.language} />
        </div>
      );
    }
    case "pair":
      return <Pair row={row} sides={sides} />;
  }
}

function Pair({ row, sides }: { row: PairedRow; sides: [number, number] | null }) {
  const { left, right } = row;
  // Against each other only what differs is marked; against the base, what replaces what.
  const mates = row.same === null || (left?.kind === "add" && right?.kind === "add");
  const other = (cell: Cell | null): string | null => (mates && cell && left && right && left.kind !== "context" ? cell.text : null);
  const classes = ["pair", row.same === true && "same", row.same === false && "differs"].filter(Boolean).join(" ");
  return (
    <div class={classes}>
      <Side cell={left} mate={other(right)} side={sides?.[0]} language={row.language} />
      <Side cell={right} mate={other(left)} side={sides?.[1]} language={row.language} />
    </div>
  );
}

const SIGN = { add: "+", del: "−", context: " " };

function Side({ cell, mate, side, language }: { cell: Cell | null; mate: string | null; side: number | undefined; language: string }) {
  if (!cell) return <div class="line none" />;
  return (
    <div class={`line ${cell.kind}`} data-side={side}>
      <span class="line-number">{cell.line}</span>
      <span class="line-sign">{SIGN[cell.kind]}</span>
      <Text text={cell.text} mate={mate} language={language} />
    </div>
  );
}

export function relationWords(relation: Relation, a: number, b: number): string {
  switch (relation) {
    case "only-a":
      return `only attempt ${a} touches it`;
    case "only-b":
      return `only attempt ${b} touches it`;
    case "same":
      return "both change it the same way";
    case "differ":
      return "both change it, differently";
  }
}

function FileHead({ row, sides, onFold }: { row: FileRow; sides: [number, number] | null; onFold(path: string): void }) {
  const { file, pair } = row;
  return (
    <div class="file-head">
      <button class="quiet file-fold" aria-expanded={!row.collapsed} onClick={() => onFold(row.path)}>
        <span aria-hidden="true">{row.collapsed ? "▸" : "▾"}</span>
        <span class="mono file-path">{visible(row.path)}</span>
      </button>
      {file && file.kind !== "modified" && <span class="file-kind">{file.kind}</span>}
      {pair && sides && <span class={`file-kind ${pair.relation}`}>{relationWords(pair.relation, sides[0], sides[1])}</span>}
      {file && <Counts added={file.added} removed={file.removed} />}
    </div>
  );
}

export function Counts({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="counts number">
      {added > 0 && <span class="good">+{added}</span>} {removed > 0 && <span class="bad">−{removed}</span>}
    </span>
  );
}
