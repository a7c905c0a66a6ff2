/** The windowing of @tanstack/virtual-core for Preact: only what can be seen is in the page. */
import {
  Virtualizer, elementScroll, observeElementOffset, observeElementRect, observeWindowOffset,
  observeWindowRect, windowScroll, type VirtualizerOptions,
} from "@tanstack/virtual-core";
import { useCallback, useEffect, useLayoutEffect, useReducer, useState } from "preact/hooks";

interface Rows {
  /** The same list for as long as nothing in it changes: with another one all places are found anew. */
  rows: readonly { key: string }[];
}
type Own = "count" | "getItemKey";
type Common = "overscan" | "scrollMargin" | "paddingEnd" | "scrollPaddingStart";
type Options<S extends Element | Window> = Rows &
  Pick<VirtualizerOptions<S, HTMLElement>, "estimateSize"> &
  Partial<Pick<VirtualizerOptions<S, HTMLElement>, Common>>;

function useVirtualizer<S extends Element | Window>(
  { rows, ...options }: Rows & Omit<VirtualizerOptions<S, HTMLElement>, Own>,
): Virtualizer<S, HTMLElement> {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const getItemKey = useCallback((at: number) => rows[at]?.key ?? at, [rows]);
  const whole = { ...options, count: rows.length, getItemKey, onChange: () => draw(undefined) };
  const [virtual] = useState(() => new Virtualizer<S, HTMLElement>(whole));
  virtual.setOptions(whole);
  useEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  return virtual;
}

export function useElementVirtual(
  element: () => HTMLElement | null,
  options: Options<HTMLElement>,
): Virtualizer<HTMLElement, HTMLElement> {
  return useVirtualizer<HTMLElement>({
    getScrollElement: element,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    ...options,
  });
}

export function useWindowVirtual(options: Options<Window>): Virtualizer<Window, HTMLElement> {
  return useVirtualizer<Window>({
    getScrollElement: () => window as Window,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    initialOffset: () => window.scrollY,
    ...options,
  });
}
