import { Link, useSearchParams } from "wouter";
import { jobsPath, pathTo } from "../../router/links.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { HealthStatus, useHealthOf } from "../limits/health-notice.tsx";
import { PauseButton } from "../limits/pause.tsx";
import { describeLimit, type Queue } from "../limits/limits.ts";
import "../limits/limits.css";
import { useMay } from "../../api/me.ts";
import { useMayRule } from "../limits/use-limit-change.ts";
import { type QueueCounts, useQueueCounts, useQueues } from "./use-queues.ts";
import { common } from "../../components/words.ts";
import type { Column } from "../../components/table/column.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** A queue's counts of jobs, each a link to those jobs. */
const COUNTS = [
  { name: "running", label: common.running, filter: "running" },
  { name: "pending", label: common.pending, filter: "pending" },
  { name: "blocked", label: common.blocked, filter: "blocked" },
  { name: "paused", label: common.paused, filter: "paused" },
  { name: "later", label: common.scheduled, filter: "scheduled" },
] as const;

export default function QueuesPage() {
  const query = useQueues();
  const counts = useQueueCounts();
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("q") ?? "";
  return (
    <Page title={words.title} lead={words.lead}>
      {(query.data?.length ?? 0) > 8 && (
        <div className="tool-bar">
          <input
            aria-label={words.find}
            placeholder={words.find}
            value={wanted}
            onChange={(event) => setSearch(event.target.value === "" ? {} : { q: event.target.value }, { replace: true })}
          />
        </div>
      )}
      <Card>
        <QueryResult query={query}>
          {(queues) => {
            // Live counts are newer; a new queue appears with the next response.
            const rows = queues
              .filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()))
              .map((queue) => withCounts(queue, counts?.get(queue.name)));
            return rows.length === 0 ? <Empty title={words.noMatches(wanted)} /> : <QueueTable queues={rows} />;
          }}
        </QueryResult>
      </Card>
    </Page>
  );
}

function withCounts(queue: Queue, counts: QueueCounts | undefined): Queue {
  return { ...queue, ...counts };
}

function QueueTable({ queues }: { queues: readonly Queue[] }) {
  const healthOf = useHealthOf("queue");
  const mayRule = useMayRule();
  const everybody = useMay("viewer", { everybody: true });
  return (
    <Table
      label={words.table}
      corner
      sortIn="sort"
      rows={queues}
      rowKey={({ name }) => name}
      columns={[
        { id: "queue", head: common.queue, kind: "name", sort: ({ name }) => name, render: (queue) => <Name queue={queue} /> },
        everybody && { id: "health", head: common.health, render: ({ name }) => <HealthStatus health={healthOf(name)} /> },
        ...COUNTS.map(({ name, label, filter }): Column<Queue> => ({
          id: name,
          head: label,
          kind: "number",
          sort: (queue) => Number(queue[name]),
          render: (queue) =>
            queue[name] === "0" ? (
              <span className="muted">0</span>
            ) : (
              <Link className="plain" href={jobsPath({ state: filter, queue: queue.name })}>
                {formatCount(queue[name])}
              </Link>
            ),
        })),
        { id: "oldest", head: words.oldest, sort: ({ oldest }) => oldest, render: ({ oldest }) => <Time at={oldest} /> },
        {
          id: "limits",
          head: common.limits,
          render: ({ limits }) =>
            limits === null ? <span className="muted">{common.none}</span> : limits.map(describeLimit).join(", "),
        },
        mayRule && {
          id: "pause",
          head: words.pauseOrResume,
          kind: "actions",
          render: ({ name, pausedAt }) => <PauseButton target={{ scope: "queue", name }} isPaused={pausedAt !== null} quiet />,
        },
      ]}
    />
  );
}

function Name({ queue: { name, pausedAt, pauseReason } }: { queue: Queue }) {
  return (
    <>
      <Link href={pathTo("/queues", name)}>{name}</Link>
      {pausedAt !== null && (
        <CellDetail>
          <State state="paused" />
          {words.pauseReason(pauseReason)}
        </CellDetail>
      )}
    </>
  );
}
