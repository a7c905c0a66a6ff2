/** Views have addresses behind `#`, so that the server need not know them. */
import { computed, signal } from "@preact/signals";

const read = (): string => location.hash.replace(/^#/, "") || "/";

export const address = signal(read());
addEventListener("hashchange", () => {
  address.value = read();
});

/** The parts of the address: `/runs/x/diff/2` is `["runs", "x", "diff", "2"]`. */
export const route = computed(() => address.value.split("/").filter(Boolean).map(decodeURIComponent));

export function go(to: string, { replace = false } = {}): void {
  if (replace) {
    history.replaceState(null, "", `#${to}`);
    address.value = to;
  } else location.hash = to;
}
