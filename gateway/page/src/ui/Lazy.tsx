/** A component whose code is fetched when it is first shown. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export function lazy<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
): ComponentType<P> {
  let found: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [state, setState] = useState<"loading" | "ready" | "failed">(found ? "ready" : "loading");
    useEffect(() => {
      if (found) return;
      load().then(
        (module) => {
          found = module.default;
          setState("ready");
        },
        () => setState("failed"),
      );
    }, []);
    if (state === "failed")
      return (
        <p class="empty" role="alert">
          This part of the page could not be loaded: the server has stopped, or it serves a newer page.{" "}
          <button onClick={() => location.reload()}>Load the page again</button>
        </p>
      );
    if (!found) return <p class="empty">Loading …</p>;
    const Found = found;
    return <Found {...props} />;
  };
}
