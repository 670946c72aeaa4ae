import { type ReactNode, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { Dialog } from "../components/dialog.tsx";

/** g and then one of these opens a page. */
const PLACES: Readonly<Record<string, { path: string; name: string }>> = {
  o: { path: "/", name: "Overview" },
  j: { path: "/jobs", name: "Jobs" },
  f: { path: "/failed", name: "Failed" },
  q: { path: "/queues", name: "Queues" },
  t: { path: "/tasks", name: "Tasks" },
  s: { path: "/schedules", name: "Schedules" },
  w: { path: "/workflows", name: "Workflows" },
  a: { path: "/alerts", name: "Alerts" },
};

/** How long the second key may take (ms). */
const SECOND_KEY_MS = 1_200;

/** Keys that work on every page: g and a letter for pages, / for the search, ? for this list. Not while something is typed. */
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
    <Dialog title="Keys" onClose={() => setOpen(false)}>
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
          <dd>Find a job</dd>
        </div>
        <div>
          <dt>
            <kbd>j</kbd> <kbd>k</kbd> <kbd>x</kbd> <kbd>Enter</kbd>
          </dt>
          <dd>In a list: down, up, select, open</dd>
        </div>
      </dl>
    </Dialog>
  );
}

/** Whether keys pressed there are text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
