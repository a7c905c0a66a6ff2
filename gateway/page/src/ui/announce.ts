/** One polite live region for the whole page: what changed, never the tokens. */
import { signal } from "@preact/signals";

export const announcement = signal("");

export function announce(text: string): void {
  // The same words twice are two announcements.
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}
