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

/** A queue's counts of jobs, each leading to those jobs. */
const COUNTS = [
  { name: "running", label: "Running", filter: "running" },
  { name: "pending", label: "Pending", filter: "pending" },
  { name: "blocked", label: "Blocked", filter: "blocked" },
  { name: "paused", label: "Paused", filter: "paused" },
  { name: "later", label: "Later", filter: "scheduled" },
] as const;

export default function QueuesPage() {
  const query = useQueues();
  const counts = useQueueCounts();
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("q") ?? "";
  return (
    <Page title="Queues" lead="Tasks that share limits, retries and a pause switch.">
      {(query.data?.length ?? 0) > 8 && (
        <div className="tool-bar">
          <input
            aria-label="Find a queue"
            placeholder="Find a queue"
            value={wanted}
            onChange={(event) => setSearch(event.target.value === "" ? {} : { q: event.target.value }, { replace: true })}
          />
        </div>
      )}
      <Card>
        <QueryResult query={query}>
          {(queues) => {
            // What is told live is newer; a queue that has come since is in the next answer.
            const rows = queues
              .filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()))
              .map((queue) => withCounts(queue, counts?.get(queue.name)));
            return rows.length === 0 ? <Empty title={`No queue has '${wanted}' in its name.`} /> : <Table queues={rows} />;
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
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Queues">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Queue</th>
            <th scope="col">Health</th>
            {COUNTS.map(({ name, label }) => (
              <th key={name} scope="col" className="end">
                {label}
              </th>
            ))}
            <th scope="col">Oldest</th>
            <th scope="col">Limits</th>
            {mayRule && (
              <th scope="col">
                <span className="visually-hidden">Pause or resume</span>
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
                    {queue.pauseReason === null ? "" : `: ${queue.pauseReason}`}
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
                  <span className="muted">none</span>
                ) : (
                  <span className="cell-detail" title={queue.limits.map(describeLimit).join("\n")}>
                    {queue.limits.map(describeLimit).join("; ")}
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
