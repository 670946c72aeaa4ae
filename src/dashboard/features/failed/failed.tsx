import { RotateCw, Trash2 } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { type FailedGroup, useFailedGroups } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Choice, type ChoiceProps } from "../../components/choice.tsx";
import { Button } from "../../components/button.tsx";
import { FoldableFilters } from "../../components/foldable-filters.tsx";
import { Empty } from "../../components/notice.tsx";
import { Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { BULK_ACTIONS, type BulkAction, type BulkTarget, failedJobs } from "../jobs/bulk/bulk-actions.ts";
import { BulkDialog } from "../jobs/bulk/bulk-dialog.tsx";
import { words as jobWords } from "../jobs/words.ts";
import { CopyButton } from "../../components/json.tsx";
import { FailedSpark } from "./failed-spark.tsx";
import { GroupJobs } from "./group-jobs.tsx";
import { issueText } from "./issue-text.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./failed.css";

const RETRY = BULK_ACTIONS.find(({ name }) => name === "retry") as BulkAction;
const DISCARD = BULK_ACTIONS.find(({ name }) => name === "discard") as BulkAction;

/** The period that is shown unless the URL specifies another one. */
const DEFAULT_SINCE = "24h";
const ALL = "all";

/** The period in the URL: a span such as 10m, or undefined for all time. */
function sinceOf(search: URLSearchParams): string | undefined {
  const since = search.get("since") ?? DEFAULT_SINCE;
  return /^\d{1,4}[smhd]$/.test(since) ? since : since === ALL ? undefined : DEFAULT_SINCE;
}

/** Failed jobs that can be retried, grouped by error: a hundred thousand jobs may form only a handful of groups. */
export default function Failed() {
  const [search, setSearch] = useSearchParams();
  const error = useDeferredValue(search.get("error") ?? "");
  const query = useFailedGroups({ error: error === "" ? undefined : error, failedSince: sinceOf(search) });
  return (
    <Page title={words.title} lead={words.lead} actions={<Link href="/bulk">{words.bulkActions}</Link>}>
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
  const since = sinceOf(search);
  const given = Object.fromEntries(FILTERS.flatMap((name) => (search.get(name) ? [[name, search.get(name) ?? ""]] : [])));
  const { task, queue, error } = given as Partial<Record<(typeof FILTERS)[number], string>>;
  const opened = search.get("group");
  const shown = groups.filter(
    (group) => (task === undefined || group.task === task) && (queue === undefined || group.queue === queue),
  );
  const period: Record<string, string> = since === undefined ? {} : { failedSince: since };
  const set = (name: string, value: string | null): void => {
    const next = new URLSearchParams(search);
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
    onSearch(next);
  };
  if (groups.length === 0 && error === undefined && since === undefined) {
    return (
      <div className="card">
        <Empty title={words.none}>
          <Sentence text={words.noneHint} slots={{ history: <Link href="/jobs?state=failed">{words.history}</Link> }} />
        </Empty>
      </div>
    );
  }
  const total = shown.reduce((sum, group) => sum + BigInt(group.jobs), 0n);
  const every = failedJobs(
    { ...given, ...period },
    Object.keys(given).length === 0 ? jobWords.bulk.targets.failed : jobWords.bulk.targets.failedMatching,
  );
  return (
    <>
      <div className="tool-bar failed-bar">
        <input
          type="search"
          aria-label={words.errorContains}
          placeholder={words.errorContainsExample}
          value={error ?? ""}
          onChange={({ target }) => set("error", target.value)}
        />
        <FoldableFilters
          count={[task, queue, search.get("since")].filter((value) => value !== undefined && value !== null).length}
        >
          <select
            aria-label={words.period}
            value={since ?? ALL}
            onChange={({ target }) => set("since", target.value === DEFAULT_SINCE ? null : target.value)}
          >
            {since !== undefined && !(since in words.periods) && <option value={since}>{words.lastPeriod(since)}</option>}
            {Object.entries(words.periods).map(([span, name]) => (
              <option key={span} value={span}>
                {words.lastPeriod(name)}
              </option>
            ))}
            <option value={ALL}>{words.allTime}</option>
          </select>
          <CountedChoice
            label={words.task}
            any={common.anyTask}
            value={task}
            counts={countsBy(groups, "task")}
            onChange={(value) => set("task", value)}
          />
          <CountedChoice
            label={words.queue}
            any={common.anyQueue}
            value={queue}
            counts={countsBy(groups, "queue")}
            onChange={(value) => set("queue", value)}
          />
        </FoldableFilters>
        <span className="muted number">{words.groups(total, shown.length)}</span>
        {may && shown.length > 0 && (
          <span className="failed-all">
            <Button icon={<RotateCw aria-hidden="true" />} onClick={() => setAsked({ action: RETRY, target: every })}>
              {words.retryAll}
            </Button>
            <Button
              kind="danger"
              icon={<Trash2 aria-hidden="true" />}
              onClick={() => setAsked({ action: DISCARD, target: every })}
            >
              {words.discardAll}
            </Button>
          </span>
        )}
      </div>
      {shown.length === 0 ? (
        <div className="card">
          <Empty
            title={
              Object.keys(given).length === 0 && since !== undefined
                ? words.noneIn((words.periods as Readonly<Record<string, string>>)[since] ?? since)
                : words.noMatches
            }
          >
            {Object.keys(given).length === 0 ? (
              <Button onClick={() => set("since", ALL)}>{words.showAllTime}</Button>
            ) : (
              <Button onClick={() => onSearch(new URLSearchParams())}>{common.clearFilters}</Button>
            )}
          </Empty>
        </div>
      ) : (
        <ul className="failed-groups">
          {shown.map((group) => (
            <Group
              key={keyOf(group)}
              group={group}
              period={period}
              isOpen={opened === keyOf(group)}
              onToggle={() => set("group", opened === keyOf(group) ? null : keyOf(group))}
              onAct={
                may
                  ? (action) =>
                      setAsked({
                        action,
                        target: failedJobs({ ...filterOf(group), ...period }, jobWords.bulk.targets.group(group.jobs)),
                      })
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

/** The filter that identifies a group. Jobs that failed before fingerprints existed are identified by their task. */
function filterOf(group: FailedGroup): Record<string, string> {
  return group.fingerprint === null ? { task: group.task } : { fingerprint: group.fingerprint };
}

function Group({
  group,
  period,
  isOpen,
  onToggle,
  onAct,
}: {
  group: FailedGroup;
  period: Readonly<Record<string, string>>;
  isOpen: boolean;
  onToggle: () => void;
  onAct: ((action: BulkAction) => void) | undefined;
}) {
  const text = group.lastError ?? common.noMessage;
  return (
    <li className="card failed-group">
      <div className="failed-head">
        <span className="failed-count number" title={words.jobs(group.jobs)}>
          {formatCount(group.jobs)}
        </span>
        <div className="failed-words">
          <p className="failed-error" dir="auto">
            {text}
          </p>
          <p className="muted failed-facts">
            <Link href={`/tasks/${encodeURIComponent(group.task)}`}>{group.task}</Link>
            <span>{words.inQueue(group.queue)}</span>
            <span>
              <Sentence text={words.lastSeen} slots={{ at: <Time at={group.lastAt} /> }} />
            </span>
            {group.firstAt !== group.lastAt && (
              <span>
                <Sentence text={words.firstSeen} slots={{ at: <Time at={group.firstAt} /> }} />
              </span>
            )}
            <span>
              <Sentence
                text={words.latest}
                slots={{ job: <Link href={`/jobs/${group.lastId}`}>{common.jobLink(group.lastId)}</Link> }}
              />
            </span>
          </p>
        </div>
        <FailedSpark group={group} />
        <div className="tool-bar">
          <CopyButton text={issueText(group)} label={words.copyIssue} />
          <Button kind="quiet" aria-expanded={isOpen} onClick={onToggle}>
            {isOpen ? words.hideJobs : words.showJobs}
          </Button>
          {onAct !== undefined && (
            <>
              <Button icon={<RotateCw aria-hidden="true" />} onClick={() => onAct(RETRY)}>
                {common.retry}
              </Button>
              <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => onAct(DISCARD)}>
                {common.discard}
              </Button>
            </>
          )}
        </div>
      </div>
      {isOpen && <GroupJobs group={group} filter={{ ...filterOf(group), ...period }} />}
    </li>
  );
}

/** The number of failed jobs for each value of a field of their groups. */
function countsBy(groups: readonly FailedGroup[], field: "task" | "queue"): ReadonlyMap<string, bigint> {
  const counts = new Map<string, bigint>();
  for (const group of groups) counts.set(group[field], (counts.get(group[field]) ?? 0n) + BigInt(group.jobs));
  return counts;
}

function CountedChoice({
  counts,
  ...choice
}: Pick<ChoiceProps, "label" | "any" | "value"> & {
  counts: ReadonlyMap<string, bigint>;
  onChange: (value: string) => void;
}) {
  const options = [...new Set([...counts.keys(), ...(choice.value === undefined ? [] : [choice.value])])];
  return (
    <Choice
      {...choice}
      options={options.toSorted((one, other) => one.localeCompare(other))}
      textOf={(option) => words.optionWithCount(option, counts.get(option) ?? 0n)}
      onChange={(value) => choice.onChange(value ?? "")}
    />
  );
}
