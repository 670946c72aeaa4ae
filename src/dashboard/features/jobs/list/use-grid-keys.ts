import { useEffect, useEffectEvent } from "react";
import { isTyping } from "../../../shell/shortcuts.tsx";

interface Actions {
  /** The active row; negative without one. */
  index: number;
  count: number;
  /** Rows per screen. */
  page: number;
  moveTo: (index: number) => void;
  open: () => void;
  toggle: (isRange: boolean) => void;
  selectAll: () => void;
  clear: () => void;
}

/**
 * j, k and the arrow keys move down and up, x selects, Shift+x selects a range, Enter opens, Escape clears the selection. These keys work on the whole
 * page while the user is not typing and no dialog is open; the arrow keys only within the list. Returns the key handler of the list itself.
 */
export function useGridKeys(actions: Actions): (event: KeyboardEvent) => void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
    const isElsewhere = event.target instanceof HTMLElement && event.target.closest("a, button, summary") !== null;
    if (act(event, actions, event.key === "Enter" || event.key === " " ? !isElsewhere : true, false)) event.preventDefault();
  });
  useEffect(() => {
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return (event) => {
    // A row's checkbox has the focus only after a click, and handles the space bar itself.
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
  if (event.key.toLowerCase() === "x" || (event.key === " " && isInside)) {
    if (index < 0) return false;
    actions.toggle(event.shiftKey);
    return true;
  }
  if (event.key === "Enter" && mayOpen && index >= 0) {
    actions.open();
    return true;
  }
  if (event.key === "Escape") {
    actions.clear();
    return true;
  }
  return false;
}
