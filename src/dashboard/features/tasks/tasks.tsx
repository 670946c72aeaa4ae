import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { pathTo } from "../../router/links.ts";
import { formatCount, formatShare } from "../../components/numbers.ts";
import { formatDuration } from "../../components/time/format-times.ts";
import { Empty } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { HealthStatus, useHealthOf } from "../limits/health-notice.tsx";
import { describeLimit, type Task } from "../limits/limits.ts";
import "../limits/limits.css";
import { type TaskStatistics, useStatistics } from "../../api/statistics.ts";

/** As many as the server lists at a time, and as the page shows. */
const MAX_TASKS = 500;

const PERIODS = { "1h": "hour", "1d": "day", "7d": "7 days" } as const;

const ORDERS = {
  name: "by name",
  ended: "most jobs first",
  failing: "most failures first",
  slow: "slowest first",
} as const;
type Order = keyof typeof ORDERS;

export default function TasksPage() {
  const query = useQuery({
    queryKey: ["tasks", "all"],
    queryFn: async ({ signal }) =>
      await rest<{ items: Task[]; nextCursor: string | null }>("GET", `/tasks?limit=${MAX_TASKS}`, undefined, signal),
    refetchInterval: 15_000,
  });
  const counted = useMay("viewer", { everybody: true });
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("q") ?? "";
  const queue = search.get("queue") ?? "";
  const period = search.get("period") ?? "1h";
  const order = (search.get("order") ?? "name") as Order;
  const statistics = useStatistics(period in PERIODS ? period : "1h").data;
  const set = (name: string, value: string): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === "") after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  };
  const queues = [...new Set(query.data?.items.map((task) => task.queue))].toSorted();
  return (
    <Page title="Tasks" lead="What workers can do.">
      <div className="tool-bar">
        <input
          aria-label="Find a task"
          placeholder="Find a task"
          value={wanted}
          onChange={({ target }) => set("q", target.value)}
        />
        <select aria-label="Of which queue" value={queue} onChange={({ target }) => set("queue", target.value)}>
          <option value="">Any queue</option>
          {queues.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {counted && (
          <>
            <select aria-label="Counted over" value={period} onChange={({ target }) => set("period", target.value)}>
              {Object.entries(PERIODS).map(([value, label]) => (
                <option key={value} value={value}>
                  Last {label}
                </option>
              ))}
            </select>
            <select aria-label="Order" value={order} onChange={({ target }) => set("order", target.value)}>
              {Object.entries(ORDERS).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </>
        )}
      </div>
      <Card>
        <QueryResult query={query}>
          {({ items, nextCursor }) => {
            const tasks = items
              .filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()))
              .filter((task) => queue === "" || task.queue === queue)
              .toSorted(
                (left, right) => weightOf(order, statistics?.get(right.name)) - weightOf(order, statistics?.get(left.name)),
              );
            if (items.length === 0) return <Empty title="No worker has told of a task yet.">Start one: legwork worker.</Empty>;
            if (tasks.length === 0) return <Empty title="No task is like that." />;
            return (
              <>
                <Table tasks={tasks} statistics={statistics} />
                {nextCursor !== null && <p className="limits-note muted">The first {MAX_TASKS} of them, by name.</p>}
              </>
            );
          }}
        </QueryResult>
      </Card>
    </Page>
  );
}

function weightOf(order: Order, of: TaskStatistics | undefined): number {
  if (of === undefined) return -1;
  if (order === "ended") return Number(of.completed) + Number(of.failed);
  if (order === "failing") return Number(of.failedAttempts);
  return order === "slow" ? (of.runP95 ?? -1) : 0;
}

function Table({ tasks, statistics }: { tasks: readonly Task[]; statistics: ReadonlyMap<string, TaskStatistics> | undefined }) {
  const healthOf = useHealthOf("task");
  const counted = useMay("viewer", { everybody: true });
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Tasks">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Task</th>
            <th scope="col">Queue</th>
            {counted && (
              <>
                <th scope="col">Health</th>
                <th scope="col" className="end">
                  Completed
                </th>
                <th scope="col" className="end">
                  Failed
                </th>
                <th scope="col" className="end" title="Of all attempts, those that failed">
                  Failing
                </th>
                <th scope="col" className="end" title="Half of the attempts ran no longer">
                  Runs, half
                </th>
                <th scope="col" className="end" title="95 of 100 attempts ran no longer">
                  95 %
                </th>
              </>
            )}
            <th scope="col">Limits</th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((task) => {
            const of = statistics?.get(task.name);
            return (
              <tr key={task.name}>
                <th scope="row">
                  <Link href={pathTo("/tasks", task.name)}>{task.name}</Link>
                  {task.pausedAt !== null && (
                    <span className="cell-detail">
                      <State state="paused" />
                      {task.pauseReason === null ? "" : `: ${task.pauseReason}`}
                    </span>
                  )}
                </th>
                <td>
                  <Link href={pathTo("/queues", task.queue)}>{task.queue}</Link>
                </td>
                {counted && (
                  <>
                    <td>
                      <HealthStatus health={healthOf(task.name)} />
                    </td>
                    <td className="end">{of === undefined ? <span className="muted">–</span> : formatCount(of.completed)}</td>
                    <td className="end">{of === undefined ? <span className="muted">–</span> : formatCount(of.failed)}</td>
                    <td className="end">{formatShare(of?.errorRate)}</td>
                    <td className="end">{formatDuration(of?.runP50)}</td>
                    <td className="end">{formatDuration(of?.runP95)}</td>
                  </>
                )}
                <td>{task.limits === null ? <span className="muted">none</span> : task.limits.map(describeLimit).join("; ")}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
