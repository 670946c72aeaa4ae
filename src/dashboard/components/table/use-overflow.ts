import { type RefObject, useLayoutEffect, useRef, useState } from "react";

/**
 * Whether the table is wider than its place. Only then does its place scroll: within a place that scrolls, the head would not stay at the top of the
 * page.
 */
export function useOverflow(): { ref: RefObject<HTMLDivElement | null>; isWide: boolean } {
  const ref = useRef<HTMLDivElement>(null);
  const [isWide, setWide] = useState(false);
  useLayoutEffect(() => {
    const place = ref.current;
    const table = place?.querySelector("table");
    if (place === null || table === null || table === undefined) return undefined;
    const measure = (): void => setWide(table.offsetWidth > place.clientWidth + 1);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(place);
    observer.observe(table);
    return () => observer.disconnect();
  }, []);
  return { ref, isWide };
}
