import { useSyncExternalStore } from "react";

/** Windows that are wide enough for a column beside a list. */
export const WIDE = "(min-width: 1101px)";
/** Phones, where a page shows one thing at a time. */
export const PHONE = "(max-width: 860px)";

/** Whether the window matches a media query. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => matchMedia(query).matches,
  );
}
