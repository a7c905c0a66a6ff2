/** The server's token, where it has one: kept for this tab alone, never in a URL. */
import { signal } from "@preact/signals";

const KEY = "aideator.token";

export const token = signal<string | null>(sessionStorage.getItem(KEY));

/** Whether the server has asked for a token that the page does not have. */
export const tokenWanted = signal(false);

export function setToken(value: string): void {
  sessionStorage.setItem(KEY, value);
  token.value = value;
  tokenWanted.value = false;
}

/** Called on 401: what was given, if anything, is not it. */
export function refuseToken(): void {
  tokenWanted.value = true;
}

export function authorization(): Record<string, string> {
  return token.value === null ? {} : { Authorization: `Bearer ${token.value}` };
}
