import { type RefObject, useLayoutEffect, useRef, useState } from "react";

/**
 * Whether the table is wider than its container. The container scrolls only in that case, because inside a scrolling container the table header would
 * not stay at the top of the page.
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
