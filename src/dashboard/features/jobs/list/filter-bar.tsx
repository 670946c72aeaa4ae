import { X } from "lucide-react";
import { useMemo, useState } from "react";
import { useTasks } from "../../../api/tasks.ts";
import { formatExact } from "../../../components/time/format-times.ts";
import { usePreferences } from "../../../components/preferences.ts";
import { Button } from "../../../components/button.tsx";
import { Choice } from "../../../components/choice.tsx";
import { FoldableFilters } from "../../../components/foldable-filters.tsx";
import { JOB_STATES } from "../../../../contract/states.ts";
import { type FilterName, type JobFilter, type JobOrder, ORDERS, parseText } from "../filter.ts";
import { TimeDialog } from "../time-dialog.tsx";
import { ColumnMenu } from "./column-menu.tsx";
import { FilterBox } from "./filter-box.tsx";
import { SavedViews } from "./saved-views.tsx";
import { useCounts } from "./use-counts.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** The names of all tasks and queues. */
export function useNames(): { tasks: readonly string[]; queues: readonly string[] } | undefined {
  const { data, isError } = useTasks();
  return useMemo(() => {
    if (data === undefined) return isError ? { tasks: [], queues: [] } : undefined;
    return {
      tasks: data.map(({ name }) => name),
      queues: [...new Set(data.map(({ queue }) => queue))].toSorted((one, other) => one.localeCompare(other)),
    };
  }, [data, isError]);
}

/** The filters of the list, which the user types or chooses, and removes one by one. */
export function FilterBar({
  filter,
  order,
  onChange,
  onOrder,
  hasFacets,
}: {
  filter: JobFilter;
  order: JobOrder;
  onChange: (next: JobFilter) => void;
  onOrder: (next: JobOrder) => void;
  /** Whether state, task and queue can be chosen beside the list. */
  hasFacets: boolean;
}) {
  const names = useNames();
  const [isChoosing, setChoosing] = useState(false);
  const set = (change: Partial<Record<FilterName, string | undefined>>): void =>
    onChange(
      Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value !== undefined && value !== "")),
    );

  const counts = useCounts(filter).data;
  const known = useMemo(
    () => ({
      task: names?.tasks ?? [],
      queue: names?.queues ?? [],
      tenant: counts?.get("tenant")?.map(({ value }) => value) ?? [],
      worker: counts?.get("worker")?.map(({ value }) => value) ?? [],
    }),
    [names, counts],
  );
  function submit(text: string): void {
    const typed = parseText(text, names ?? { tasks: [], queues: [] });
    // A task belongs to one queue, so a typed task or queue replaces the other filter.
    const base = typed.task !== undefined ? { queue: undefined } : typed.queue !== undefined ? { task: undefined } : {};
    // An index finds errors and workers only in combination with a state.
    const needed = typed.error !== undefined ? "failed" : typed.worker !== undefined ? "running" : undefined;
    const isNarrow = filter.state !== undefined || (filter.correlation ?? filter.key ?? filter.parent) !== undefined;
    set({ ...base, ...(needed !== undefined && !isNarrow ? { state: needed } : {}), ...typed });
  }

  return (
    <div className="job-filters">
      <div className="tool-bar">
        <FilterBox known={known} onFilter={submit} />
        <FoldableFilters
          count={[...SHOWN_ABOVE].filter((name) => filter[name] !== undefined).length + (order === "newest" ? 0 : 1)}
        >
          {!hasFacets && (
            <>
              <Choice
                label={common.state}
                any={common.anyState}
                value={filter.state}
                options={JOB_STATES}
                onChange={(state) => set({ state })}
              />
              <Choice
                label={common.task}
                any={common.anyTask}
                value={filter.task}
                options={names?.tasks ?? []}
                onChange={(task) => set({ task, ...(task === undefined ? {} : { queue: undefined }) })}
              />
              <Choice
                label={common.queue}
                any={common.anyQueue}
                value={filter.queue}
                options={names?.queues ?? []}
                onChange={(queue) => set({ queue, ...(queue === undefined ? {} : { task: undefined }) })}
              />
            </>
          )}
          <select
            aria-label={words.list.created}
            value={filter.after !== undefined || filter.before !== undefined ? "exact" : (filter.since ?? "")}
            onChange={({ target: { value } }) => {
              if (value === "exact") setChoosing(true);
              else set({ since: value, after: undefined, before: undefined });
            }}
          >
            <option value="">{words.list.anyTime}</option>
            {Object.entries(words.list.spans).map(([span, name]) => (
              <option key={span} value={span}>
                {words.list.last(name)}
              </option>
            ))}
            {filter.since !== undefined && !(filter.since in words.list.spans) && (
              <option value={filter.since}>{words.list.last(filter.since)}</option>
            )}
            <option value="exact">{words.list.between}</option>
          </select>
          <select
            aria-label={words.list.ended}
            value={filter.finished ?? ""}
            onChange={({ target: { value } }) => set({ finished: value, finished_after: undefined, finished_before: undefined })}
          >
            <option value="">{words.list.endedAnyTime}</option>
            {Object.entries(words.list.endedSpans).map(([span, name]) => (
              <option key={span} value={span}>
                {words.list.endedIn(name)}
              </option>
            ))}
            {filter.finished !== undefined && !(filter.finished in words.list.endedSpans) && (
              <option value={filter.finished}>{words.list.endedIn(filter.finished)}</option>
            )}
          </select>
          <select
            aria-label={words.list.order}
            value={order}
            onChange={({ target }) => onOrder(ORDERS.find((each) => each === target.value) ?? "newest")}
          >
            {ORDERS.map((each) => (
              <option key={each} value={each}>
                {words.list.orders[each]}
              </option>
            ))}
          </select>
        </FoldableFilters>
        <SavedViews filter={filter} onOpen={(view) => onChange(view)} />
        {hasFacets && <ColumnMenu />}
      </div>
      <Chips filter={filter} hasFacets={hasFacets} onChange={set} onTimes={() => setChoosing(true)} />
      {isChoosing && (
        <TimeDialog
          after={filter.after}
          before={filter.before}
          onClose={() => setChoosing(false)}
          onChoose={(after, before) => {
            set({ after, before, since: undefined });
            setChoosing(false);
          }}
        />
      )}
    </div>
  );
}

/** Filters with their own control are not repeated as chips. */
const SHOWN_ABOVE: ReadonlySet<FilterName> = new Set(["state", "task", "queue", "since", "finished"]);

function Chips({
  filter,
  hasFacets,
  onChange,
  onTimes,
}: {
  filter: JobFilter;
  hasFacets: boolean;
  onChange: (change: Partial<Record<FilterName, undefined>>) => void;
  onTimes: () => void;
}) {
  const { zone } = usePreferences();
  const given = Object.entries(filter) as [FilterName, string][];
  if (given.length === 0) return null;
  const shown = given.filter(([name]) => (hasFacets ? name !== "since" && name !== "finished" : !SHOWN_ABOVE.has(name)));
  return (
    <ul className="job-chips" aria-label={words.list.chips}>
      {shown.map(([name, value]) => (
        <li key={name} className="chip">
          <span className="muted">{words.list.filters[name]}</span>
          {name === "after" || name === "before" ? (
            <Button kind="quiet" onClick={onTimes}>
              {formatExact(value, zone)}
            </Button>
          ) : name === "finished_after" || name === "finished_before" ? (
            <span className="truncate">{formatExact(value, zone)}</span>
          ) : (
            <span className="truncate" dir="auto" title={value}>
              {value.replaceAll(",", ", ")}
            </span>
          )}
          <Button
            kind="quiet"
            aria-label={words.list.removeFilter(words.list.filters[name])}
            icon={<X aria-hidden="true" />}
            onClick={() => onChange({ [name]: undefined })}
          />
        </li>
      ))}
      <li>
        <Button kind="quiet" onClick={() => onChange(Object.fromEntries(given.map(([name]) => [name, undefined])))}>
          {words.list.clearAll}
        </Button>
      </li>
    </ul>
  );
}
