import { type ReactNode, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { Dialog } from "../components/dialog.tsx";
import { words as pages } from "../router/words.ts";
import { words } from "./words.ts";

/** g followed by one of these keys opens a page. */
const PLACES: Readonly<Record<string, { path: string; name: string }>> = {
  o: { path: "/", name: pages.overview },
  j: { path: "/jobs", name: pages.jobs },
  f: { path: "/failed", name: pages.failed },
  q: { path: "/queues", name: pages.queues },
  t: { path: "/tasks", name: pages.tasks },
  s: { path: "/schedules", name: pages.schedules },
  w: { path: "/workflows", name: pages.workflows },
  a: { path: "/alerts", name: pages.alerts },
};

/** How long the second key may take (ms). */
const SECOND_KEY_MS = 1_200;

/** Shortcuts on every page: g and a letter for pages, / for the search, ? for this list. Not while the user is typing. */
export function useShortcuts(): ReactNode {
  const [, navigate] = useLocation();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    let wentAt = -Infinity;
    function press(event: KeyboardEvent): void {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
      const place = performance.now() - wentAt < SECOND_KEY_MS ? PLACES[event.key] : undefined;
      wentAt = -Infinity;
      if (place !== undefined) {
        event.preventDefault();
        navigate(place.path);
      } else if (event.key === "g") wentAt = performance.now();
      else if (event.key === "?") setOpen(true);
      else if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLElement>("#search")?.focus();
      }
    }
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [navigate]);
  if (!isOpen) return null;
  return (
    <Dialog title={words.shortcuts} onClose={() => setOpen(false)}>
      <dl className="keys">
        {Object.entries(PLACES).map(([key, { name }]) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{name}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>{words.findJob}</dd>
        </div>
        <div>
          <dt>
            <kbd>j</kbd> <kbd>k</kbd> <kbd>x</kbd> <kbd>Enter</kbd> <kbd>o</kbd>
          </dt>
          <dd>{words.inList}</dd>
        </div>
        <div>
          <dt>
            <kbd>r</kbd> <kbd>c</kbd> <kbd>e</kbd>
          </dt>
          <dd>{words.onJob}</dd>
        </div>
      </dl>
    </Dialog>
  );
}

/** Whether keys pressed on that element enter text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
