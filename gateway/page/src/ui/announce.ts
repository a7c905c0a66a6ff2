/** What is said besides what views show: of changes, politely, and of what went wrong, in sight. */
import { signal } from "@preact/signals";

export const announcement = signal("");

export function announce(text: string): void {
  // The same words twice are two announcements.
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}

/** What a person asked for and did not get, where no view has a place to say so. */
export const complaint = signal<string | null>(null);

export function complain(text: string): void {
  complaint.value = text;
}
