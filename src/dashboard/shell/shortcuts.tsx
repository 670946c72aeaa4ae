import { lazy, type ReactNode, Suspense, useCallback, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { may, useMe } from "../api/me.ts";
import type { Entry } from "./palette/entries.ts";
import { PLACES } from "./places.ts";
import { ShortcutList } from "./shortcut-list.tsx";

const Palette = lazy(async () => await import("./palette/palette.tsx"));

/** How long the second key may take (ms). */
const SECOND_KEY_MS = 1_200;

export interface Shortcuts {
  /** What is open: the palette, the list of keys, or the dialog of an action. */
  open: ReactNode;
  showPalette: () => void;
}

/**
 * Shortcuts on every page: Ctrl-K or ⌘K for the palette, g and a letter for pages, / for the search, ? for the list, and the keys of the page's own
 * buttons. Single keys do nothing while the user is typing or a dialog is open.
 */
export function useShortcuts(): Shortcuts {
  const [, navigate] = useLocation();
  const me = useMe();
  const [shown, setShown] = useState<"palette" | "list" | { dialog: NonNullable<Entry["dialog"]> }>();
  const close = useCallback(() => setShown(undefined), []);
  // The palette closes shortly after it has opened the dialog of the chosen action, and must not close that dialog.
  const closePalette = useCallback(() => setShown((now) => (now === "palette" ? undefined : now)), []);
  /** When g was pressed. It is a ref, because the listener is replaced when the user's rights arrive. */
  const wentAt = useRef(-Infinity);
  useEffect(() => {
    function press(event: KeyboardEvent): void {
      if (event.defaultPrevented) return;
      const isDialogOpen = document.querySelector("dialog[open]") !== null;
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
        // Prevents the browser's own action for these keys, such as opening its search.
        event.preventDefault();
        if (!isDialogOpen) setShown("palette");
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isDialogOpen || isTyping(event.target)) return;
      const place =
        performance.now() - wentAt.current < SECOND_KEY_MS ? PLACES.find(({ key }) => key === event.key)?.page : undefined;
      wentAt.current = -Infinity;
      if (place !== undefined) {
        event.preventDefault();
        if (me === undefined || may(me, place.role ?? "viewer", place.everybody ?? false)) navigate(place.path);
      } else if (event.key === "g") wentAt.current = performance.now();
      else if (event.key === "?") setShown("list");
      else if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLElement>("#search")?.focus();
      } else if (/^[a-z]$/.test(event.key)) {
        const button = document.querySelector<HTMLButtonElement>(`main button[aria-keyshortcuts="${event.key}"]:not(:disabled)`);
        if (button === null) return;
        event.preventDefault();
        // If the button opens a dialog, the dialog later returns the focus to the button.
        button.focus();
        button.click();
      }
    }
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [navigate, me]);
  return {
    showPalette: () => setShown("palette"),
    open:
      shown === undefined ? null : shown === "list" ? (
        <ShortcutList onClose={close} />
      ) : shown === "palette" ? (
        <Suspense fallback={null}>
          <Palette onClose={closePalette} onDialog={(dialog) => setShown({ dialog })} showShortcuts={() => setShown("list")} />
        </Suspense>
      ) : (
        shown.dialog(close)
      ),
  };
}

/** Whether pressing keys on the element enters text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
