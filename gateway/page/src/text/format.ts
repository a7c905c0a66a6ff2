/** Numbers and times as people read them. What is not known is said to be unknown. */
import type { Usage } from "../api/types";

const whole = new Intl.NumberFormat("en");

export const count = (value: number): string => whole.format(value);

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

export function tokens(usage: Usage | undefined): number {
  if (!usage) return 0;
  return (
    (usage.input_tokens ?? 0) +
    (usage.output_tokens ?? 0) +
    (usage.cache_write_tokens ?? 0) +
    (usage.cache_read_tokens ?? 0)
  );
}

export function short(value: number): string {
  if (value < 1000) return String(value);
  if (value < 100_000) return `${(value / 1000).toFixed(1)}k`;
  if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** Cost in US dollars; a model without a known price has an unknown cost, not none. */
function dollars(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return "cost unknown";
  if (usd === 0) return "$0";
  return usd < 0.01 ? `$${usd.toFixed(4)}` : `$${usd.toFixed(2)}`;
}

/**
 * What attempts cost together, in words: unknown if that of one of them is, and nothing at all
 * where no token was used. The scripted demo costs nothing.
 */
export function cost(usages: (Usage | undefined)[], { scripted = false } = {}): string {
  const used = usages.filter((usage) => tokens(usage) > 0);
  if (used.length === 0) return "";
  if (scripted) return "no cost";
  const known = used.map((usage) => usage?.cost_usd ?? null);
  return dollars(known.includes(null) ? null : known.reduce<number>((sum, usd) => sum + (usd ?? 0), 0));
}

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} KiB`;
  return `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const moment = (iso: string): string => date.format(new Date(iso));

export function ago(iso: string, now = Date.now()): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return moment(iso);
}

/** The part of a repository's address that tells it from others. */
export function repositoryName(url: string): string {
  const path = url.replace(/^[a-z]+:\/\/(?:[^/]*@)?/, "").replace(/\.git$|\/$/g, "");
  const parts = path.split("/").filter(Boolean);
  return url.startsWith("file:") ? parts.slice(-1).join("/") : parts.slice(-2).join("/");
}
