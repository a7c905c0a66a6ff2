/** Long work as a generator that yields now and then, done at once or in slices. */

const SLICE_MS = 10;

export function finishNow<T extends object>(work: Generator<undefined, T>): T {
  return oneSlice(work, Infinity) as T;
}

/** Go on with `work` for a few milliseconds; undefined if it is not done by then. */
export function oneSlice<T extends object>(work: Generator<undefined, T>, slice = SLICE_MS): T | undefined {
  const since = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - since > slice) return undefined;
  }
}

/**
 * Do `work` in slices, so that the page stays responsive. What waits for a work of several slices
 * does not begin in the last one's task.
 */
export async function inSlices<T extends object>(work: Generator<undefined, T>, slice = SLICE_MS): Promise<T> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  let found = oneSlice(work, slice);
  if (found) return found;
  while (!found) {
    await pause();
    found = oneSlice(work, slice);
  }
  await pause();
  return found;
}
