/** Keys of one letter. Each view adds its own while it is shown; `?` lists what there is. */
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface Shortcut {
  keys: string[];
  /** How the list names the keys, if not by themselves. */
  shown?: string;
  what: string;
  run(key: string): void;
}

const KEY = "aideator.shortcuts";
const groups = signal<{ name: string; shortcuts: Shortcut[] }[]>([]);
export const active = groups;

/** Single letters disturb speech input, so they can be turned off. */
export const enabled = signal(localStorage.getItem(KEY) !== "off");

export function setEnabled(on: boolean): void {
  enabled.value = on;
  localStorage.setItem(KEY, on ? "on" : "off");
}

export function useShortcuts(name: string, shortcuts: Shortcut[]): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  // As soon as a view can be seen its keys work.
  useLayoutEffect(() => {
    const group = {
      name,
      get shortcuts() {
        return latest.current;
      },
    };
    groups.value = [...groups.value, group];
    return () => {
      groups.value = groups.value.filter((other) => other !== group);
    };
  }, [name]);
}

const EDITABLE = 'input:not([type="checkbox"]):not([type="range"]), textarea, select, [contenteditable]';

addEventListener("keydown", (event) => {
  if (!enabled.value && event.key !== "?") return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(EDITABLE) || document.querySelector("dialog[open]")) return;
  if (event.key === " " && target?.closest("button, a, summary, input")) return;
  for (const group of [...groups.value].reverse())
    for (const shortcut of group.shortcuts)
      if (shortcut.keys.includes(event.key)) {
        event.preventDefault();
        shortcut.run(event.key);
        return;
      }
});
