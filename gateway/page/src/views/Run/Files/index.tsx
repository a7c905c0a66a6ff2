/** The files of a patch as a tree, each with its size and the attempts that touch it. */
import type { ComponentChildren } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { plural } from "../../../text/format";
import { visible } from "../../../text/visible";
import { useElementVirtual } from "../../../ui/virtual";
import { treeRows } from "./tree";
import "./style.css";

export interface Entry {
  path: string;
  /** What stands behind its name; drawn for the few that can be seen. */
  note(): ComponentChildren;
  /** Attempts that are not shown and touch it, too, and whether they do the same to it. */
  others: { id: number; alike: boolean }[];
  /** By how many attempts it is touched in all. */
  touches: number;
}

const ROW = 28;

interface Props {
  /** The same function for as long as nothing in it changes. */
  entries(): Entry[];
  current: string;
  onOpen(path: string): void;
}

export function Files({ entries: list, current, onOpen }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const entries = useMemo(list, [list]);
  const rows = useMemo(() => treeRows(entries.map((entry) => entry.path)), [entries]);
  const byPath = useMemo(() => new Map(entries.map((entry) => [entry.path, entry])), [entries]);
  const shared = useMemo(() => entries.filter((entry) => entry.touches > 1).length, [entries]);
  const virtual = useElementVirtual(() => box.current, { rows, estimateSize: () => ROW, overscan: 10 });
  return (
    <nav class="files" aria-label="Files">
      <p class="files-sum soft">
        {plural(entries.length, "file")}
        {shared > 0 && `, ${shared} touched by several attempts`}
      </p>
      <div ref={box} class="files-box">
        <ul class="files-list" style={{ height: `${virtual.getTotalSize()}px` }}>
          {virtual.getVirtualItems().map((place) => {
            const row = rows[place.index];
            if (!row) return null;
            const entry = row.path === null ? undefined : byPath.get(row.path);
            const place_ = { transform: `translateY(${place.start}px)`, paddingLeft: `${Math.min(row.depth, 6) * 12}px` };
            return (
              <li key={row.key} style={place_}>
                {entry ? (
                  <button
                    class="quiet file"
                    aria-current={entry.path === current ? "true" : undefined}
                    title={visible(entry.path)}
                    onClick={() => onOpen(entry.path)}
                  >
                    <span class="cut grow">{visible(row.name)}</span>
                    {entry.others.length > 0 && <Touched others={entry.others} />}
                    {entry.note()}
                  </button>
                ) : (
                  <span class="folder soft cut">{visible(row.name)}</span>
                )}
              </li>
            );
          })}
        </ul>
      </div>
    </nav>
  );
}

/** Attempts that are not shown and touch a file, too; marked where they change it the same way. */
function Touched({ others }: { others: Entry["others"] }) {
  const words = others.map((one) => `attempt ${one.id} ${one.alike ? "changes it the same way" : "touches it too"}`).join(", ");
  return (
    <span class="touched" title={words}>
      {others.map((one) => (
        <span key={one.id} class={one.alike ? "alike" : ""} aria-hidden="true">
          {one.alike ? "=" : ""}
          {one.id}
        </span>
      ))}
      <span class="hidden">{words}</span>
    </span>
  );
}
