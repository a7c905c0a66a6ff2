/** Long work as a generator that yields now and then, done at once or in slices. */

export function finishNow<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/**
 * Do `work` in slices of a few milliseconds, so that the page stays responsive. What waits for a
 * work of several slices does not begin in the last one's task.
 */
export async function inSlices<T>(work: Generator<undefined, T>, slice = 10): Promise<T> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  let since = performance.now();
  let sliced = false;
  for (;;) {
    const step = work.next();
    if (step.done) {
      if (sliced) await pause();
      return step.value;
    }
    if (performance.now() - since > slice) {
      sliced = true;
      await pause();
      since = performance.now();
    }
  }
}
