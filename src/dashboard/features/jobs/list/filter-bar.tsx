import { useQuery } from "@tanstack/react-query";
import { Filter, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { rest } from "../../../api/request.ts";
import { formatExact } from "../../../components/time/format-times.ts";
import { usePreferences } from "../../../components/preferences.ts";
import { Button } from "../../../components/button.tsx";
import { JOB_STATES } from "../../../../contract/states.ts";
import { FILTERS, type FilterName, type JobFilter, parseText, SPANS } from "../filter.ts";
import { TimeDialog } from "../time-dialog.tsx";
import { SavedViews } from "./saved-views.tsx";

/** The names there are to choose from. */
export function useNames(): { tasks: readonly string[]; queues: readonly string[] } | undefined {
  const tasks = useQuery({
    queryKey: ["tasks", "names"],
    staleTime: 60_000,
    queryFn: async ({ signal }) =>
      (await rest<{ items: { name: string; queue: string }[] }>("GET", "/tasks?limit=500", undefined, signal)).items,
  });
  if (tasks.data === undefined) return tasks.isError ? { tasks: [], queues: [] } : undefined;
  return {
    tasks: tasks.data.map(({ name }) => name),
    queues: [...new Set(tasks.data.map(({ queue }) => queue))].toSorted((one, other) => one.localeCompare(other)),
  };
}

/** What is looked for: typed, chosen, and taken away again one by one. */
export function FilterBar({ filter, onChange }: { filter: JobFilter; onChange: (next: JobFilter) => void }) {
  const names = useNames();
  const [text, setText] = useState("");
  const [isChoosing, setChoosing] = useState(false);
  const set = (change: Partial<Record<FilterName, string | undefined>>): void =>
    onChange(
      Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value !== undefined && value !== "")),
    );

  function submit(event: FormEvent): void {
    event.preventDefault();
    const typed = parseText(text, names ?? { tasks: [], queues: [] });
    // A task has one queue: the one that was typed last counts.
    const base = typed.task !== undefined ? { queue: undefined } : typed.queue !== undefined ? { task: undefined } : {};
    set({ ...base, ...typed });
    setText("");
  }

  return (
    <div className="job-filters">
      <div className="tool-bar">
        <form className="search" role="search" aria-label="Filter jobs" onSubmit={submit}>
          <Filter aria-hidden="true" />
          <input
            type="search"
            aria-label="Filter"
            placeholder="task:… queue:… payload.user.id:42 error text"
            value={text}
            spellCheck={false}
            onChange={(event) => setText(event.target.value)}
          />
        </form>
        <Choice label="State" value={filter.state} options={JOB_STATES} onChange={(state) => set({ state })} />
        <Choice
          label="Task"
          value={filter.task}
          options={names?.tasks ?? []}
          onChange={(task) => set({ task, ...(task === undefined ? {} : { queue: undefined }) })}
        />
        <Choice
          label="Queue"
          value={filter.queue}
          options={names?.queues ?? []}
          onChange={(queue) => set({ queue, ...(queue === undefined ? {} : { task: undefined }) })}
        />
        <select
          aria-label="Created"
          value={filter.after !== undefined || filter.before !== undefined ? "exact" : (filter.since ?? "")}
          onChange={({ target: { value } }) => {
            if (value === "exact") setChoosing(true);
            else set({ since: value, after: undefined, before: undefined });
          }}
        >
          <option value="">Any time</option>
          {Object.entries(SPANS).map(([span, words]) => (
            <option key={span} value={span}>
              Last {words}
            </option>
          ))}
          {filter.since !== undefined && !(filter.since in SPANS) && <option value={filter.since}>Last {filter.since}</option>}
          <option value="exact">Between…</option>
        </select>
        <SavedViews filter={filter} onOpen={onChange} />
      </div>
      <Chips filter={filter} onChange={set} onTimes={() => setChoosing(true)} />
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

function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string | undefined;
  options: readonly string[];
  onChange: (value: string | undefined) => void;
}) {
  return (
    <select
      aria-label={label}
      value={value ?? ""}
      onChange={({ target }) => onChange(target.value === "" ? undefined : target.value)}
    >
      <option value="">Any {label.toLowerCase()}</option>
      {value !== undefined && !options.includes(value) && <option value={value}>{value}</option>}
      {options.map((option) => (
        <option key={option} value={option}>
          {option}
        </option>
      ))}
    </select>
  );
}

/** What has a control of its own is not shown again. */
const SHOWN_ABOVE: ReadonlySet<string> = new Set(["state", "task", "queue", "since"]);

function Chips({
  filter,
  onChange,
  onTimes,
}: {
  filter: JobFilter;
  onChange: (change: Partial<Record<FilterName, undefined>>) => void;
  onTimes: () => void;
}) {
  const { zone } = usePreferences();
  const given = Object.entries(filter) as [FilterName, string][];
  if (given.length === 0) return null;
  const shown = given.filter(([name]) => !SHOWN_ABOVE.has(name));
  return (
    <ul className="job-chips" aria-label="Filters">
      {shown.map(([name, value]) => (
        <li key={name} className="chip">
          <span className="muted">{FILTERS[name]}</span>
          {name === "after" || name === "before" ? (
            <Button kind="quiet" onClick={onTimes}>
              {formatExact(value, zone)}
            </Button>
          ) : (
            <span className="truncate">{value}</span>
          )}
          <Button
            kind="quiet"
            aria-label={`Remove the filter ${FILTERS[name]}`}
            icon={<X aria-hidden="true" />}
            onClick={() => onChange({ [name]: undefined })}
          />
        </li>
      ))}
      <li>
        <Button kind="quiet" onClick={() => onChange(Object.fromEntries(given.map(([name]) => [name, undefined])))}>
          Clear all
        </Button>
      </li>
    </ul>
  );
}
