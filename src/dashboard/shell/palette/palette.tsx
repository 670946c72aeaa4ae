import { Command, defaultFilter } from "cmdk";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { focusKeeper } from "../../components/focus-keeper.ts";
import { words } from "../words.ts";
import { type Entry, type Group, GROUPS } from "./entries.ts";
import { useEntries } from "./use-entries.tsx";
import "./palette.css";

/** The maximum number of entries that are listed for a group. */
const SHOWN = 8;

/**
 * Finds pages, queues, tasks, schedules, workflows, jobs and actions by any part of their names. It lists only what the user may open or do, and an
 * action that changes something opens its dialog first.
 */
export default function Palette({
  onClose,
  onDialog,
  showShortcuts,
}: {
  onClose: () => void;
  /** Called with the dialog of the chosen action, after the palette has closed. */
  onDialog: (dialog: NonNullable<Entry["dialog"]>) => void;
  showShortcuts: () => void;
}): ReactNode {
  const element = useRef<HTMLDialogElement>(null);
  const [, navigate] = useLocation();
  const [typed, setTyped] = useState("");
  const { entries, isLoading } = useEntries(typed, showShortcuts);
  const groups = rank(entries, typed);
  const best = groups[0]?.[1][0]?.id ?? "";
  const [selected, setSelected] = useState(best);
  // The best entry is selected whenever the list changes by typing.
  useLayoutEffect(() => setSelected(best), [typed, best]);
  useLayoutEffect(() => {
    const dialog = element.current;
    const giveBack = focusKeeper();
    dialog?.showModal();
    // A click outside the palette closes it.
    const press = ({ target }: MouseEvent): void => {
      if (target === dialog) dialog?.close();
    };
    dialog?.addEventListener("click", press);
    return () => {
      dialog?.removeEventListener("click", press);
      dialog?.close();
      giveBack();
    };
  }, []);
  function choose(entry: Entry): void {
    onClose();
    if (entry.path !== undefined) navigate(entry.path);
    else if (entry.dialog !== undefined) onDialog(entry.dialog);
    else entry.run?.();
  }
  return (
    <dialog ref={element} className="dialog palette" aria-label={words.palette.title} onCancel={onClose} onClose={onClose}>
      <Command label={words.palette.title} shouldFilter={false} loop value={selected} onValueChange={setSelected}>
        <Command.Input autoFocus value={typed} onValueChange={setTyped} placeholder={words.palette.placeholder} />
        <Command.List label={words.palette.results}>
          {groups.length === 0 && !isLoading && <Command.Empty>{words.palette.nothing}</Command.Empty>}
          {groups.map(([group, found]) => (
            <Command.Group key={group} heading={words.palette.groups[group]}>
              {found.map((entry) => (
                <Command.Item key={entry.id} value={entry.id} onSelect={() => choose(entry)}>
                  <entry.Icon aria-hidden="true" />
                  <span className="truncate" dir="auto">
                    {entry.label}
                  </span>
                  {entry.detail !== undefined && (
                    <span className="muted truncate" dir="auto">
                      {entry.detail}
                    </span>
                  )}
                  {entry.keys !== undefined && (
                    <span className="palette-keys" aria-hidden="true">
                      {entry.keys.map((key) => (
                        <kbd key={key}>{key}</kbd>
                      ))}
                    </span>
                  )}
                </Command.Item>
              ))}
            </Command.Group>
          ))}
        </Command.List>
      </Command>
    </dialog>
  );
}

/** The best entries of each group, the group with the best entry first. Before anything is typed, the entries with `isFirst`. */
function rank(entries: readonly Entry[], wanted: string): [Group, Entry[]][] {
  const text = wanted.trim();
  if (text === "") {
    return GROUPS.map((group): [Group, Entry[]] => [
      group,
      entries.filter((entry) => entry.group === group && entry.isFirst === true),
    ]).filter(([, found]) => found.length > 0);
  }
  const scored = entries
    .map((entry) => ({
      entry,
      score: entry.group === "found" ? 0.01 : defaultFilter(entry.label, text, [entry.detail ?? "", ...(entry.also ?? [])]),
    }))
    .filter(({ score }) => score > 0);
  const best = (group: Group): number =>
    Math.max(0, ...scored.flatMap(({ entry, score }) => (entry.group === group ? [score] : [])));
  // The job with the typed id comes first.
  const isId = /^\d+$/.test(text);
  return GROUPS.map((group) => ({ group, score: isId && group === "found" ? 2 : best(group) }))
    .filter(({ score }) => score > 0)
    .toSorted((left, right) => right.score - left.score)
    .map(({ group }) => [
      group,
      scored
        .filter(({ entry }) => entry.group === group)
        .toSorted((left, right) => right.score - left.score)
        .slice(0, SHOWN)
        .map(({ entry }) => entry),
    ]);
}
