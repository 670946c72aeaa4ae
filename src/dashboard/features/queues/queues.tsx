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
import { useMayRule } from "../limits/use-limit-change.ts";
import { type QueueCounts, useQueueCounts, useQueues } from "./use-queues.ts";
import { common } from "../../components/words.ts";
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
            return rows.length === 0 ? <Empty title={words.noMatches(wanted)} /> : <Table queues={rows} />;
          }}
        </QueryResult>
      </Card>
    </Page>
  );
}

function withCounts(queue: Queue, counts: QueueCounts | undefined): Queue {
  return { ...queue, ...counts };
}

function Table({ queues }: { queues: readonly Queue[] }) {
  const healthOf = useHealthOf("queue");
  const mayRule = useMayRule();
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={words.table}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{common.queue}</th>
            <th scope="col">{common.health}</th>
            {COUNTS.map(({ name, label }) => (
              <th key={name} scope="col" className="end">
                {label}
              </th>
            ))}
            <th scope="col">{words.oldest}</th>
            <th scope="col">{common.limits}</th>
            {mayRule && (
              <th scope="col">
                <span className="visually-hidden">{words.pauseOrResume}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <tr key={queue.name}>
              <th scope="row">
                <Link href={pathTo("/queues", queue.name)}>{queue.name}</Link>
                {queue.pausedAt !== null && (
                  <span className="cell-detail" title={queue.pauseReason ?? undefined}>
                    <State state="paused" />
                    {words.pauseReason(queue.pauseReason)}
                  </span>
                )}
              </th>
              <td>
                <HealthStatus health={healthOf(queue.name)} />
              </td>
              {COUNTS.map(({ name, filter }) => (
                <td key={name} className="end">
                  {queue[name] === "0" ? (
                    <span className="muted">0</span>
                  ) : (
                    <Link className="plain" href={jobsPath({ state: filter, queue: queue.name })}>
                      {formatCount(queue[name])}
                    </Link>
                  )}
                </td>
              ))}
              <td>
                <Time at={queue.oldest} />
              </td>
              <td>
                {queue.limits === null ? (
                  <span className="muted">{common.none}</span>
                ) : (
                  <span className="cell-detail" title={queue.limits.map(describeLimit).join("\n")}>
                    {queue.limits.map(describeLimit).join(", ")}
                  </span>
                )}
              </td>
              {mayRule && (
                <td>
                  <PauseButton target={{ scope: "queue", name: queue.name }} isPaused={queue.pausedAt !== null} quiet />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
