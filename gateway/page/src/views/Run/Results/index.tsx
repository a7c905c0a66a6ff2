/** The results: every attempt at a glance, and one of them, or two against each other, in full. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Run, Variation } from "../../../api/types";
import { hasEnded } from "../../../api/types";
import { comparing, type FilePair } from "../../../diff/compare";
import { inSlices, oneSlice } from "../../../diff/slices";
import { likeness, type Patch, type Patches } from "../../../run/patches";
import type { Session } from "../../../run/session";
import { go } from "../../../router";
import { useShortcuts } from "../../../ui/shortcuts";
import { Cards } from "../Cards";
import { Choose } from "../Choose";
import { Chosen } from "../Choose/Chosen";
import { PairView, PatchView } from "../Diff/views";
import { Take } from "./Take";
import { Versus } from "./Versus";
import "./style.css";

interface Props {
  run: Run;
  session: Session;
  patches: Patches;
  /** Behind the address of the results: `2`, or `2/against/1`. */
  rest: string[];
  base: string;
}

export interface Found {
  variation: Variation;
  patch: Patch | null;
  /** Why there is none to show. */
  reason: string | null;
}

export function Results({ run, session, patches, rest, base }: Props) {
  const [choosing, setChoosing] = useState<number | "none" | null>(null);
  const found: Found[] = run.variations.map((variation) => {
    if (!variation.patch)
      return { variation, patch: null, reason: hasEnded(variation.status) ? "It left no patch." : "It is still at work." };
    if (variation.patch.truncated) return { variation, patch: null, reason: "Its patch is too large to be kept; it was only counted." };
    const state = patches.get(variation.variation_id).value;
    return {
      variation,
      patch: state.state === "ready" ? state.patch : null,
      reason: state.state === "missing" ? state.reason : state.state === "loading" ? "Loading its patch …" : null,
    };
  });
  useEffect(() => {
    for (const one of run.variations) if (one.patch) patches.retry(one.variation_id);
  }, [run]);

  const ids = run.variations.map((one) => one.variation_id);
  const asked = Number(rest[0]);
  const standard = run.winning_variation_id ?? found.find((one) => one.variation.patch)?.variation.variation_id ?? ids[0] ?? 1;
  const shown = ids.includes(asked) ? asked : standard;
  const against = rest[1] === "against" && ids.includes(Number(rest[2])) && Number(rest[2]) !== shown ? Number(rest[2]) : null;
  const show = (id: number, other: number | null): void =>
    go(other === null || other === id ? `${base}/${id}` : `${base}/${id}/against/${other}`, { replace: true });

  const likes = useMemo(() => likenesses(found), [found.map((one) => one.patch?.bytes.length).join()]);
  const a = found.find((one) => one.variation.variation_id === shown);
  const b = found.find((one) => one.variation.variation_id === against);
  const compared = useCompared(a, b);

  useShortcuts("Results", [
    { keys: ids.map(String), what: "Look at an attempt", run: (key) => show(Number(key), null) },
    {
      keys: ["c"],
      what: "Against the next attempt, and the next",
      run: () => {
        const others = ids.filter((id) => id !== shown);
        const next = others[against === null ? 0 : others.indexOf(against) + 1] ?? null;
        show(shown, next);
      },
    },
    { keys: ["x"], what: "Swap the two sides", run: () => against !== null && show(against, shown) },
    { keys: ["s"], what: "Choose the attempt shown", run: () => a?.variation.status === "completed" && setChoosing(shown) },
  ]);

  return (
    <div class="results">
      <Chosen run={run} />
      <Cards run={run} found={found} likes={likes} shown={shown} against={against} onShow={(id) => show(id, null)} onChoose={setChoosing} />
      {found.some((one) => one.variation.patch) && (
        <Versus run={run} shown={shown} against={against} onShow={show}>
          {hasEnded(run.status) && (
            <button class="quiet" onClick={() => setChoosing("none")}>
              None is good enough …
            </button>
          )}
          {a?.variation.patch?.files && against === null ? <Take run={run} id={shown} path={patches.path(shown)} /> : null}
        </Versus>
      )}
      {compared ? (
        // The same two the other way round stay where they are.
        <PairView key={compared.two} {...compared} found={found} equal={likes.get(compared.a)?.get(compared.b) ?? null} />
      ) : a?.patch && against === null ? (
        <PatchView key={shown} id={shown} patch={a.patch} found={found} />
      ) : (
        <p class="empty">
          {a?.reason && `Attempt ${shown}: ${a.reason} `}
          {b?.reason && `Attempt ${against}: ${b.reason}`}
          {a?.patch && b?.patch && "Comparing …"}
        </p>
      )}
      {choosing !== null && (
        <Choose run={run} id={choosing === "none" ? null : choosing} onClose={() => setChoosing(null)} onChosen={() => void session.refresh()} />
      )}
    </div>
  );
}

interface Compared {
  a: number;
  b: number;
  /** The same for both ways round. */
  two: string;
  pairs: FilePair[];
}

/**
 * The files of two attempts, compared: most at once, large ones in slices, and null until that is
 * done; the other way round until then, if that was compared before.
 */
function useCompared(a: Found | undefined, b: Found | undefined): Compared | null {
  const [work, first] = useMemo(() => {
    const comparison = a?.patch && b?.patch ? comparing(a.patch.files, b.patch.files) : null;
    return [comparison, comparison && oneSlice(comparison)];
  }, [a?.patch, b?.patch]);
  const [late, setLate] = useState<{ work: typeof work; pairs: FilePair[] } | null>(null);
  useEffect(() => {
    if (!work || first) return;
    let current = true;
    void inSlices(work).then((pairs) => current && setLate({ work, pairs }));
    return () => {
      current = false;
    };
  }, [work]);
  const last = useRef<Compared | null>(null);
  if (!a || !b) return null;
  const [one, other] = [a.variation.variation_id, b.variation.variation_id];
  const two = [one, other].sort().join();
  const pairs = first ?? (late && late.work === work ? late.pairs : null);
  if (pairs) last.current = { a: one, b: other, two, pairs };
  return last.current?.two === two ? last.current : null;
}

export type Likes = Map<number, Map<number, "equal" | "alike">>;

/** Which patches do the same. */
function likenesses(found: readonly Found[]): Likes {
  const likes: Likes = new Map(found.map((one) => [one.variation.variation_id, new Map()]));
  found.forEach((one, at) => {
    for (const other of found.slice(at + 1)) {
      // That both changed nothing, each says by itself.
      const like = one.patch?.files.length && other.patch ? likeness(one.patch, other.patch) : null;
      if (!like) continue;
      likes.get(one.variation.variation_id)?.set(other.variation.variation_id, like);
      likes.get(other.variation.variation_id)?.set(one.variation.variation_id, like);
    }
  });
  return likes;
}
