import { useEffect, useLayoutEffect, useState } from "react";

/** How many positions are remembered. The limit keeps a long session from accumulating them without end. */
const MAX_PLACES = 50;

const places = new Map<string, unknown>();
let counter = 0;

/** The id of the current entry of the browser's history; undefined until it has one. A link creates a new entry; Back returns to an existing one. */
function currentEntry(): string | undefined {
  const state: unknown = history.state;
  const id = typeof state === "object" && state !== null ? (state as { place?: unknown }).place : undefined;
  return typeof id === "string" ? id : undefined;
}

/** Assigns an id to the current entry. The router's own listeners are not notified, because the URL stays the same. */
function nameEntry(id: string): void {
  History.prototype.replaceState.call(history, { ...(history.state as object | null), place: id }, "");
}

/** The id of the current entry; if it has none, one is assigned. */
function entryId(): string {
  const known = currentEntry();
  if (known !== undefined) return known;
  const id = `${Date.now()}-${(counter += 1)}`;
  nameEntry(id);
  return id;
}

function keep(key: string, value: unknown): void {
  places.delete(key);
  places.set(key, value);
  const [oldest] = places.keys();
  if (places.size > MAX_PLACES && oldest !== undefined) places.delete(oldest);
}

/**
 * Remembers the user's position for this entry of the browser's history. `restored` is the last value that was kept for the entry. It is available
 * after Back or Forward, but never for a new visit or after the page was reloaded.
 */
export function usePlace<T>(name: string): { restored: T | undefined; keep: (value: T) => void } {
  const [place] = useState(() => {
    const id = entryId();
    const key = `${name} ${id}`;
    return { id, restored: places.get(key) as T | undefined, keep: (value: T) => keep(key, value) };
  });
  useEffect(() => {
    // Replacing the URL removes the id, so it has to be assigned again.
    if (currentEntry() === undefined) nameEntry(place.id);
  });
  return place;
}

/** How long to wait until the content is as high as before (ms). */
const RESTORE_MS = 3_000;

/** Scrolls the content to the top of a new page, and to the previous position after Back or Forward. */
export function useScrollPlace(path: string): void {
  useLayoutEffect(() => {
    const main = document.querySelector("main");
    if (main === null) return undefined;
    const key = `scroll ${entryId()}`;
    const wanted = (places.get(key) as number | undefined) ?? 0;
    main.scrollTo(0, wanted);
    // The content may arrive later. If the user scrolls in the meantime, the position is left alone.
    const grown = new ResizeObserver(() => {
      if (main.scrollTop < wanted) main.scrollTo(0, wanted);
      else stop();
    });
    const timer = setTimeout(stop, RESTORE_MS);
    function stop(): void {
      grown.disconnect();
      clearTimeout(timer);
      for (const name of ["wheel", "touchstart", "keydown"]) main?.removeEventListener(name, stop);
    }
    if (wanted > 0) {
      for (const child of main.children) grown.observe(child);
      for (const name of ["wheel", "touchstart", "keydown"]) main.addEventListener(name, stop, { passive: true });
    }
    const remember = (): void => keep(key, main.scrollTop);
    main.addEventListener("scroll", remember, { passive: true });
    return () => {
      stop();
      main.removeEventListener("scroll", remember);
    };
  }, [path]);
}
