import { useState } from "react";
import { JOB_STATES } from "../../../../contract/states.ts";
import type { JobCount } from "../../../../contract/jobs.ts";
import { Button } from "../../../components/button.tsx";
import { State } from "../../../components/state-badge.tsx";
import { common } from "../../../components/words.ts";
import { type JobFilter, statesOf, withStates } from "../filter.ts";
import { words } from "../words.ts";
import { type CountField, useCounts } from "./use-counts.ts";

/** How many values of a facet are shown at first. */
const FIRST = 8;

/** Counts of the matching jobs, shown beside the list. Each value is a button that adds or removes the filter for that value. */
export function Facets({ filter, onChange }: { filter: JobFilter; onChange: (next: JobFilter) => void }) {
  const counts = useCounts(filter);
  const of = (field: CountField): readonly JobCount[] => (filter.payload === undefined ? (counts.data?.get(field) ?? []) : []);
  const choose = (field: Exclude<CountField, "state">, value: string): void => {
    // A task belongs to one queue, so choosing a task or a queue replaces the other filter.
    const dropped = field === "task" || field === "queue" ? ["task", "queue"] : [field];
    const rest: JobFilter = Object.fromEntries(Object.entries(filter).filter(([name]) => !dropped.includes(name)));
    if (filter[field] === value) return onChange(rest);
    // The index on workers covers only running jobs.
    onChange({ ...rest, ...(field === "worker" && filter.state === undefined ? { state: "running" } : {}), [field]: value });
  };
  return (
    <aside className="job-facets" aria-label={words.list.facets}>
      <StateFacet
        filter={filter}
        counts={counts.data === undefined || filter.payload !== undefined ? undefined : of("state")}
        onChange={onChange}
      />
      {(["task", "queue", "tenant", "worker"] as const).map((field) => (
        <Facet
          key={field}
          title={words.list.filters[field]}
          counts={of(field)}
          chosen={filter[field]}
          onChoose={(value) => choose(field, value)}
        />
      ))}
      {counts.isError && <p className="muted">{words.list.noCounts}</p>}
      {filter.payload !== undefined && <p className="muted">{words.list.noCountsOfPayloads}</p>}
    </aside>
  );
}

/** The states in the order of a job's life. Several can be chosen. */
function StateFacet({
  filter,
  counts,
  onChange,
}: {
  filter: JobFilter;
  /** Undefined until they are known. */
  counts: readonly JobCount[] | undefined;
  onChange: (next: JobFilter) => void;
}) {
  const chosen = statesOf(filter);
  return (
    <fieldset className="facet">
      <legend>{common.state}</legend>
      {JOB_STATES.map((state) => {
        const count = counts?.find(({ value }) => value === state);
        return (
          <label key={state} className="facet-value" data-empty={count === undefined}>
            <input
              type="checkbox"
              checked={chosen.includes(state)}
              onChange={({ target }) =>
                onChange(withStates(filter, target.checked ? [...chosen, state] : chosen.filter((each) => each !== state)))
              }
            />
            <State state={state} />
            {counts !== undefined && <Count count={count} />}
          </label>
        );
      })}
    </fieldset>
  );
}

function Facet({
  title,
  counts,
  chosen,
  onChoose,
}: {
  title: string;
  counts: readonly JobCount[];
  chosen: string | undefined;
  onChoose: (value: string) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  const first = counts.slice(0, isOpen ? counts.length : FIRST);
  const values = first.map(({ value }) => value);
  const shown = chosen === undefined || values.includes(chosen) ? values : [chosen, ...values];
  if (shown.length === 0) return null;
  return (
    <section className="facet" aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {shown.map((value) => (
          <li key={value}>
            <button type="button" className="facet-value" aria-pressed={value === chosen} onClick={() => onChoose(value)}>
              <span className="truncate" dir="auto" title={value}>
                {value}
              </span>
              <Count count={counts.find((each) => each.value === value)} />
            </button>
          </li>
        ))}
      </ul>
      {counts.length > FIRST && (
        <Button kind="quiet" className="facet-more" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? words.list.showFewer : words.list.showAll(counts.length)}
        </Button>
      )}
    </section>
  );
}

function Count({ count }: { count: JobCount | undefined }) {
  return <span className="number facet-count">{words.list.count(count?.jobs ?? 0, count?.isCapped ?? false)}</span>;
}
