/** What can wait is drawn in a task of its own, so that neither it nor what is seen first takes long. */
import { useLayoutEffect, useState } from "preact/hooks";

/** False in a component's first drawing; true right after, mostly before anything is painted. */
export function useLater(): boolean {
  const [later, setLater] = useState(false);
  useLayoutEffect(() => {
    const timer = setTimeout(() => setLater(true), 0);
    return () => clearTimeout(timer);
  }, []);
  return later;
}
