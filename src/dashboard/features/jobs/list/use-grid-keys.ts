import { useEffect, useEffectEvent, useRef } from "react";
import { isTyping } from "../../../shell/shortcuts.tsx";
import type { JobKey } from "../detail/job-actions.tsx";

interface Actions {
  /** The index of the active row; negative without an active row. */
  index: number;
  count: number;
  /** The number of rows per screen. */
  page: number;
  moveTo: (index: number) => void;
  /** Shows the active job beside the list. */
  show: () => void;
  /** Opens the page of the active job. */
  open: () => void;
  act: (action: JobKey) => void;
  toggle: (isRange: boolean) => void;
  selectAll: () => void;
  clear: () => void;
}

/** How long after g another key opens a page instead (ms). */
const SECOND_KEY_MS = 1_200;

/** The keys of actions on the active job. */
const ACTIONS: Readonly<Record<string, JobKey>> = { r: "retry", c: "cancel", e: "edit" };

/**
 * j, k and the arrow keys move down and up, x selects, Shift+x selects a range, Enter shows a job beside the list, o opens its page, and r, c and e
 * retry, cancel and edit it. Escape closes the panel or clears the selection. These keys work on the whole page while the user is not typing and no
 * dialog is open; the arrow keys work only within the list. Returns the key handler of the list itself.
 */
export function useGridKeys(actions: Actions): (event: KeyboardEvent) => void {
  const wentAt = useRef(-Infinity);
  const isSecondKey = (): boolean => performance.now() - wentAt.current < SECOND_KEY_MS;
  const press = useEffectEvent((event: KeyboardEvent) => {
    const isSecond = isSecondKey();
    wentAt.current = event.key === "g" && !isTyping(event.target) ? performance.now() : -Infinity;
    if (isSecond) return;
    if (event.defaultPrevented || isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
    const isElsewhere =
      event.target instanceof HTMLElement && event.target.closest("a, button, summary, [role=region][tabindex]") !== null;
    if (act(event, actions, event.key === "Enter" || event.key === " " ? !isElsewhere : true, false)) event.preventDefault();
  });
  useEffect(() => {
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return (event) => {
    if (isSecondKey()) return;
    // A row's checkbox has focus only after a click, and handles the space bar itself.
    if (event.target instanceof HTMLInputElement && event.key === " ") return;
    if (act(event, actions, true, true)) event.preventDefault();
  };
}

/** Performs the action of a key; returns whether there was one. */
function act(event: KeyboardEvent, actions: Actions, mayOpen: boolean, isInside: boolean): boolean {
  const { index, count, page, moveTo } = actions;
  if (event.altKey || event.metaKey || count === 0) return false;
  if (event.ctrlKey) {
    if (event.key !== "a" || !isInside) return false;
    actions.selectAll();
    return true;
  }
  const arrows: Readonly<Record<string, number>> = isInside
    ? { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: count - 1 }
    : {};
  const to = { j: index + 1, k: index - 1, ...arrows }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (to !== undefined) {
    if (event.shiftKey && index >= 0) actions.toggle(true);
    moveTo(Math.max(0, to));
    return true;
  }
  if (event.key === "Escape") {
    actions.clear();
    return true;
  }
  if (index < 0) return false;
  if (event.key.toLowerCase() === "x" || (event.key === " " && isInside)) {
    actions.toggle(event.shiftKey);
    return true;
  }
  if (event.key === "Enter" && mayOpen) {
    actions.show();
    return true;
  }
  if (event.key === "o") {
    actions.open();
    return true;
  }
  const action = ACTIONS[event.key];
  if (action === undefined) return false;
  actions.act(action);
  return true;
}
