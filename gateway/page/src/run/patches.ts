/** The patches of a run: fetched once, read in slices, compared with each other. */
import { signal, type Signal } from "@preact/signals";
import { fetchBytes, Problem } from "../api/client";
import { sameFiles } from "../diff/compare";
import { parsing, type FileDiff } from "../diff/parse";
import { inSlices } from "../diff/slices";

export interface Patch {
  bytes: Uint8Array;
  files: FileDiff[];
  /** Some of it is not UTF-8 and is shown with replacement characters. */
  lossy: boolean;
}

export type PatchState =
  | { state: "loading" }
  | { state: "ready"; patch: Patch }
  | { state: "missing"; reason: string };

export class Patches {
  private readonly states = new Map<number, Signal<PatchState>>();

  constructor(private readonly runId: string) {}

  path(variation: number): string {
    return `/runs/${encodeURIComponent(this.runId)}/variations/${variation}/patch`;
  }

  get(variation: number): Signal<PatchState> {
    let state = this.states.get(variation);
    if (!state) {
      state = signal<PatchState>({ state: "loading" });
      this.states.set(variation, state);
      void this.load(variation, state);
    }
    return state;
  }

  /** Ask again for what was not there before. */
  retry(variation: number): void {
    const state = this.states.get(variation);
    if (!state || state.value.state !== "missing") return;
    state.value = { state: "loading" };
    void this.load(variation, state);
  }

  private async load(variation: number, state: Signal<PatchState>): Promise<void> {
    try {
      const bytes = await fetchBytes(this.path(variation));
      state.value = { state: "ready", patch: await readPatch(bytes) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      state.value = { state: "missing", reason: error.message };
    }
  }
}

export async function readPatch(bytes: Uint8Array): Promise<Patch> {
  const text = new TextDecoder().decode(bytes);
  const files = await inSlices(parsing(text));
  return { bytes, files, lossy: text.includes("\ufffd") };
}

export type Likeness = "equal" | "alike" | null;

/** Whether two patches are the same bytes, or the same apart from their index lines. */
export function likeness(a: Patch, b: Patch): Likeness {
  if (a.bytes.length === b.bytes.length && a.bytes.every((byte, at) => byte === b.bytes[at])) return "equal";
  return sameFiles(a.files, b.files) ? "alike" : null;
}
