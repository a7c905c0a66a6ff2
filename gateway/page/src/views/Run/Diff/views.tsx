/** The two ways to look: one attempt against what was there, or two against each other. */
import { signal } from "@preact/signals";
import { useCallback, useMemo, useState } from "preact/hooks";
import { sharedLines, type FilePair } from "../../../diff/compare";
import type { Patch } from "../../../run/patches";
import { count, plural } from "../../../text/format";
import { visible } from "../../../text/visible";
import { useLater } from "../../../ui/later";
import { useShortcuts } from "../../../ui/shortcuts";
import { Number } from "../../../ui/Status";
import { nameOf } from "../name";
import { Files, type Entry } from "../Files";
import type { Found } from "../Results";
import { foldedAtFirst, pairRows, patchRows, sizeOf, type DiffRow } from "./rows";
import { Counts, Diff, relationWords } from ".";

const NO_NAMES: ReadonlyMap<number, string> = new Map();
const SPLIT = "aideator.split";
const NARROW = matchMedia("(max-width: 900px)");
/** Holds for the next two as well, until the page is loaded again. */
const onlyDifferent = signal(false);

export function PatchView({ id, patch, found }: { id: number; patch: Patch; found: Found[] }) {
  const [split, setSplit] = useState(localStorage.getItem(SPLIT) === "yes");
  const files = patch.files;
  const [folded, fold] = useFolded(() => foldedAtFirst(files.map((file) => ({ path: file.path, lines: sizeOf(file) }))));
  const both = split && !NARROW.matches;
  const rows = useMemo(() => patchRows(files, both, folded), [files, both, folded]);
  const choose = (on: boolean): void => {
    setSplit(on);
    localStorage.setItem(SPLIT, on ? "yes" : "no");
  };
  useShortcuts("Patch", [{ keys: ["u"], what: "One column or two", run: () => choose(!split) }]);
  const entries = useCallback(
    () => files.map((file) => ({ path: file.path, note: () => <Counts added={file.added} removed={file.removed} />, ...touching(found, file.path, file.body, [id]) })),
    [files, ...patchesOf(found)],
  );
  if (files.length === 0) return <p class="empty">Attempt {id} changed nothing.</p>;
  return (
    <Frame label={`Patch of attempt ${id}`} files={files} entries={entries} rows={rows} sides={null} folded={folded} fold={fold} names={NO_NAMES}>
      <div class="row wide-only" role="group" aria-label="Columns">
        <button aria-pressed={!split} onClick={() => choose(false)}>
          Unified
        </button>
        <button aria-pressed={split} onClick={() => choose(true)}>
          Split
        </button>
      </div>
      {patch.lossy && <span class="warn">Some of it is not UTF-8 and is shown as �; the download has it right.</span>}
    </Frame>
  );
}

interface PairProps {
  a: number;
  b: number;
  pairs: FilePair[];
  found: Found[];
  equal: "equal" | "alike" | null;
}

export function PairView({ a, b, pairs, found, equal }: PairProps) {
  const only = onlyDifferent.value;
  const lines = (pair: FilePair): number => (pair.a ? sizeOf(pair.a) : 0) + (pair.b ? sizeOf(pair.b) : 0);
  const [folded, fold] = useFolded(() => {
    const first = foldedAtFirst(pairs.map((pair) => ({ path: pair.path, lines: lines(pair) })));
    // What both did alike need not be read to choose between them.
    for (const pair of pairs) if (pair.relation === "same") first.add(pair.path);
    return first;
  });
  const rows = useMemo(() => pairRows(pairs, only, folded), [pairs, only, folded]);
  const shared = useMemo(() => sharedLines(pairs), [pairs]);
  const sum = (relation: FilePair["relation"]): number => pairs.filter((pair) => pair.relation === relation).length;
  useShortcuts("Comparison", [{ keys: ["d"], what: "Only where they differ", run: () => (onlyDifferent.value = !only) }]);
  const signs = { "only-a": `${a}`, "only-b": `${b}`, same: "=", differ: "≠" };
  const entries = useCallback(
    () =>
      pairs.map((pair) => ({
        path: pair.path,
        note: () => (
          <span class={`relation ${pair.relation}`} title={relationWords(pair.relation, a, b)}>
            {signs[pair.relation]}
            <span class="hidden"> {relationWords(pair.relation, a, b)}</span>
          </span>
        ),
        ...touching(found, pair.path, (pair.a ?? pair.b)?.body, [a, b]),
      })),
    [pairs, ...patchesOf(found)],
  );
  const facts = [
    sum("differ") && `${plural(sum("differ"), "file")} changed differently`,
    sum("same") && `${plural(sum("same"), "file")} changed alike`,
    sum("only-a") && `${plural(sum("only-a"), "file")} only in ${a}`,
    sum("only-b") && `${plural(sum("only-b"), "file")} only in ${b}`,
  ].filter(Boolean);
  return (
    <>
      <p class="pair-facts">
        {equal ? (
          <strong>
            {equal === "equal"
              ? `Attempts ${a} and ${b} left the same patch, to the byte.`
              : `Attempts ${a} and ${b} make the same changes; only the index lines of their patches differ.`}
          </strong>
        ) : (
          <>
            {facts.join(" · ")}
            <span class="soft">
              {" "}
              · {count(shared.shared)} changed lines in common, of {count(shared.a)} and {count(shared.b)}
            </span>
          </>
        )}
      </p>
      <Frame label={`Attempt ${a} against attempt ${b}`} files={pairs} entries={entries} rows={rows} sides={[a, b]} folded={folded} fold={fold} names={new Map(found.map(({ variation }) => [variation.variation_id, nameOf(variation)]))}>
        <label class="row">
          <input type="checkbox" checked={only} onChange={(event) => (onlyDifferent.value = event.currentTarget.checked)} />
          Only where they differ
        </label>
      </Frame>
    </>
  );
}

const patchesOf = (found: readonly Found[]): (Patch | null)[] => found.map((one) => one.patch);

/** Who touches a file besides those that are shown, and who does the same to it. */
function touching(found: readonly Found[], path: string, body: string | undefined, shown: number[]): Pick<Entry, "others" | "touches"> {
  const all = found.flatMap(({ variation, patch }) => {
    const file = patch && filesByPath(patch).get(path);
    return file ? [{ id: variation.variation_id, alike: file.body === body }] : [];
  });
  return { touches: all.length, others: all.filter((one) => !shown.includes(one.id)) };
}

const indexes = new WeakMap<Patch, Map<string, Patch["files"][number]>>();

function filesByPath(patch: Patch): Map<string, Patch["files"][number]> {
  let index = indexes.get(patch);
  if (!index) indexes.set(patch, (index = new Map(patch.files.map((file) => [file.path, file]))));
  return index;
}

type Fold = (change: (folded: Set<string>) => void) => void;

function useFolded(first: () => Set<string>): [Set<string>, Fold] {
  const [folded, setFolded] = useState(first);
  return [
    folded,
    (change) =>
      setFolded((before) => {
        const next = new Set(before);
        change(next);
        return next;
      }),
  ];
}

interface FrameProps {
  label: string;
  files: readonly { path: string }[];
  /** What the list says of each; the same function for as long as nothing in it changes. */
  entries(): Entry[];
  rows: DiffRow[];
  sides: [number, number] | null;
  folded: ReadonlySet<string>;
  fold: Fold;
  /** What the attempts are called. */
  names: ReadonlyMap<number, string>;
  children: preact.ComponentChildren;
}

/** Files on the left, what is in them on the right, and a bar that stays in sight. */
function Frame({ label, files, entries, rows, sides, folded, fold, names, children }: FrameProps) {
  const [target, setTarget] = useState<{ path: string } | null>(null);
  const [current, setCurrent] = useState("");
  const later = useLater();
  const allFolded = files.length > 0 && files.every(({ path }) => folded.has(path));
  return (
    <div class="diff-frame">
      {later ? (
        <Files
          entries={entries}
          current={current}
          onOpen={(path) => {
            if (folded.has(path)) fold((all) => all.delete(path));
            setTarget({ path });
          }}
        />
      ) : (
        <nav class="files" aria-label="Files" />
      )}
      <div class="diff-main">
        <div class="diff-bar">
          <span class="mono cut grow soft">{visible(current)}</span>
          {children}
          <button class="quiet" onClick={() => fold((all) => (allFolded ? all.clear() : files.forEach(({ path }) => all.add(path))))}>
            {allFolded ? "Unfold all" : "Fold all"}
          </button>
          {sides && (
            <div class="side-names" aria-hidden="true">
              {sides.map((id) => (
                <span key={id} class="cut">
                  <Number id={id} /> {names.get(id)}
                </span>
              ))}
            </div>
          )}
        </div>
        <Diff
          label={label}
          rows={rows}
          sides={sides}
          target={target}
          onCurrent={setCurrent}
          onFold={(path) => fold((all) => (all.has(path) ? all.delete(path) : all.add(path)))}
        />
      </div>
    </div>
  );
}
