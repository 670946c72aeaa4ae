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
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** The most that the server lists at a time and the page shows. */
const MAX_TASKS = 500;

type Order = keyof typeof words.orders;

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
  const statistics = useStatistics(period in words.periods ? period : "1h").data;
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
    <Page title={words.title} lead={words.lead}>
      <div className="tool-bar">
        <input
          aria-label={words.find}
          placeholder={words.find}
          value={wanted}
          onChange={({ target }) => set("q", target.value)}
        />
        <select aria-label={words.queueFilter} value={queue} onChange={({ target }) => set("queue", target.value)}>
          <option value="">{common.anyQueue}</option>
          {queues.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {counted && (
          <>
            <select aria-label={words.period} value={period} onChange={({ target }) => set("period", target.value)}>
              {Object.entries(words.periods).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
            <select aria-label={words.order} value={order} onChange={({ target }) => set("order", target.value)}>
              {Object.entries(words.orders).map(([value, label]) => (
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
            if (items.length === 0) return <Empty title={words.noneYet}>{words.noneYetHint}</Empty>;
            if (tasks.length === 0) return <Empty title={words.noMatches} />;
            return (
              <>
                <Table tasks={tasks} statistics={statistics} />
                {nextCursor !== null && <p className="limits-note muted">{words.firstTasks(MAX_TASKS)}</p>}
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
    <div className="table-scroll" tabIndex={0} role="region" aria-label={words.title}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{common.task}</th>
            <th scope="col">{common.queue}</th>
            {counted && (
              <>
                <th scope="col">{common.health}</th>
                <th scope="col" className="end">
                  {common.completed}
                </th>
                <th scope="col" className="end">
                  {common.failed}
                </th>
                <th scope="col" className="end" title={words.errorRateHint}>
                  {words.errorRate}
                </th>
                <th scope="col" className="end" title={words.runP50Hint}>
                  {words.runP50}
                </th>
                <th scope="col" className="end" title={words.runP95Hint}>
                  {words.runP95}
                </th>
              </>
            )}
            <th scope="col">{common.limits}</th>
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
                      {words.pauseReason(task.pauseReason)}
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
                <td>
                  {task.limits === null ? (
                    <span className="muted">{common.none}</span>
                  ) : (
                    task.limits.map(describeLimit).join(", ")
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
