import { RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { type FailedGroup, useFailedGroups } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/notice.tsx";
import { Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { BULK_ACTIONS, type BulkAction, type BulkTarget, failedJobs } from "../jobs/bulk/bulk-actions.ts";
import { BulkDialog } from "../jobs/bulk/bulk-dialog.tsx";
import { GroupJobs } from "./group-jobs.tsx";
import "./failed.css";

const RETRY = BULK_ACTIONS.find(({ name }) => name === "retry") as BulkAction;
const DISCARD = BULK_ACTIONS.find(({ name }) => name === "discard") as BulkAction;

/** What has failed and can be retried, by what went wrong: a hundred thousand jobs are a handful of things to look at. */
export default function Failed() {
  const [search, setSearch] = useSearchParams();
  const query = useFailedGroups();
  return (
    <Page
      title="Failed"
      lead="Jobs whose attempts are used up, or whose error is not worth a retry. They are kept here until somebody retries them or gives them up."
    >
      <QueryResult query={query}>
        {(groups) => <Groups groups={groups} search={search} onSearch={(next) => setSearch(next, { replace: true })} />}
      </QueryResult>
    </Page>
  );
}

const FILTERS = ["task", "queue", "error"] as const;

function Groups({
  groups,
  search,
  onSearch,
}: {
  groups: readonly FailedGroup[];
  search: URLSearchParams;
  onSearch: (next: URLSearchParams) => void;
}) {
  const may = useMay("operator");
  const [asked, setAsked] = useState<{ action: BulkAction; target: BulkTarget }>();
  const filter = Object.fromEntries(FILTERS.flatMap((name) => (search.get(name) ? [[name, search.get(name) ?? ""]] : [])));
  const { task, queue, error } = filter as Partial<Record<(typeof FILTERS)[number], string>>;
  const opened = search.get("group");
  const shown = groups.filter(
    (group) =>
      (task === undefined || group.task === task) &&
      (queue === undefined || group.queue === queue) &&
      (error === undefined || (group.lastError ?? "").toLowerCase().includes(error.toLowerCase())),
  );
  const set = (name: string, value: string | null): void => {
    const next = new URLSearchParams(search);
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
    onSearch(next);
  };
  if (groups.length === 0) {
    return (
      <div className="card">
        <Empty title="Nothing has failed.">
          No job waits for a decision. What was retried or given up is in <Link href="/jobs?state=failed">the history</Link>.
        </Empty>
      </div>
    );
  }
  const total = shown.reduce((sum, group) => sum + BigInt(group.jobs), 0n);
  const every = failedJobs(filter, Object.keys(filter).length === 0 ? "every failed job" : "every failed job that matches");
  return (
    <>
      <div className="tool-bar failed-bar">
        <input
          type="search"
          aria-label="Error contains"
          placeholder="Error contains…"
          value={error ?? ""}
          onChange={({ target }) => set("error", target.value)}
        />
        <Choice label="task" value={task} options={groups.map((group) => group.task)} onChange={(value) => set("task", value)} />
        <Choice
          label="queue"
          value={queue}
          options={groups.map((group) => group.queue)}
          onChange={(value) => set("queue", value)}
        />
        <span className="muted number">
          {formatCount(total)} {total === 1n ? "job" : "jobs"} in {formatCount(shown.length)}{" "}
          {shown.length === 1 ? "group" : "groups"}
        </span>
        {may && shown.length > 0 && (
          <span className="failed-all">
            <Button icon={<RotateCw aria-hidden="true" />} onClick={() => setAsked({ action: RETRY, target: every })}>
              Retry all
            </Button>
            <Button
              kind="danger"
              icon={<Trash2 aria-hidden="true" />}
              onClick={() => setAsked({ action: DISCARD, target: every })}
            >
              Delete all
            </Button>
          </span>
        )}
      </div>
      {shown.length === 0 ? (
        <div className="card">
          <Empty title="No group fits.">
            <Button onClick={() => onSearch(new URLSearchParams())}>Clear the filters</Button>
          </Empty>
        </div>
      ) : (
        <ul className="failed-groups">
          {shown.map((group) => (
            <Group
              key={keyOf(group)}
              group={group}
              isOpen={opened === keyOf(group)}
              onToggle={() => set("group", opened === keyOf(group) ? null : keyOf(group))}
              onAct={
                may
                  ? (action) =>
                      setAsked({ action, target: failedJobs(filterOf(group), `${formatCount(group.jobs)} jobs of this group`) })
                  : undefined
              }
            />
          ))}
        </ul>
      )}
      {asked !== undefined && <BulkDialog action={asked.action} target={asked.target} onClose={() => setAsked(undefined)} />}
    </>
  );
}

function keyOf(group: FailedGroup): string {
  return group.fingerprint ?? `${group.task} ${group.queue}`;
}

/** What names a group; jobs that failed before there were fingerprints are named by their task. */
function filterOf(group: FailedGroup): Record<string, string> {
  return group.fingerprint === null ? { task: group.task } : { fingerprint: group.fingerprint };
}

function Group({
  group,
  isOpen,
  onToggle,
  onAct,
}: {
  group: FailedGroup;
  isOpen: boolean;
  onToggle: () => void;
  onAct: ((action: BulkAction) => void) | undefined;
}) {
  const text = group.lastError ?? "No message";
  return (
    <li className="card failed-group">
      <div className="failed-head">
        <span className="failed-count number" title={`${formatCount(group.jobs)} jobs`}>
          {formatCount(group.jobs)}
        </span>
        <div className="failed-words">
          <p className="failed-error">{text}</p>
          <p className="muted failed-facts">
            <Link href={`/tasks/${encodeURIComponent(group.task)}`}>{group.task}</Link>
            <span>queue {group.queue}</span>
            <span>
              last <Time at={group.lastAt} />
            </span>
            {group.firstAt !== group.lastAt && (
              <span>
                first <Time at={group.firstAt} />
              </span>
            )}
            <span>
              newest <Link href={`/jobs/${group.lastId}`}>job {group.lastId}</Link>
            </span>
          </p>
        </div>
        <div className="tool-bar">
          <Button kind="quiet" aria-expanded={isOpen} onClick={onToggle}>
            {isOpen ? "Hide jobs" : "Show jobs"}
          </Button>
          {onAct !== undefined && (
            <>
              <Button icon={<RotateCw aria-hidden="true" />} onClick={() => onAct(RETRY)}>
                Retry
              </Button>
              <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => onAct(DISCARD)}>
                Delete
              </Button>
            </>
          )}
        </div>
      </div>
      {isOpen && <GroupJobs group={group} filter={filterOf(group)} />}
    </li>
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
  onChange: (value: string) => void;
}) {
  const all = [...new Set(value === undefined ? options : [...options, value])].toSorted((one, other) =>
    one.localeCompare(other),
  );
  return (
    <select aria-label={`Of ${label}`} value={value ?? ""} onChange={({ target }) => onChange(target.value)}>
      <option value="">Any {label}</option>
      {all.map((option) => (
        <option key={option} value={option}>
          {option}
        </option>
      ))}
    </select>
  );
}
