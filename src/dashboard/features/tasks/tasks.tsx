import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { pathTo } from "../../router/links.ts";
import { formatCount, formatShare } from "../../components/numbers.ts";
import { formatDuration } from "../../components/time/format-times.ts";
import { Choice } from "../../components/choice.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { HealthStatus, useHealthOf } from "../limits/health-notice.tsx";
import { describeLimit } from "../limits/limits.ts";
import "../limits/limits.css";
import { type TaskStatistics, useStatistics } from "../../api/statistics.ts";
import { type Task, useTasks } from "../../api/tasks.ts";
import { common } from "../../components/words.ts";
import type { Column } from "../../components/table/column.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

export default function TasksPage() {
  const query = useTasks({ refetchInterval: 15_000 });
  const counted = useMay("viewer", { everybody: true });
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("q") ?? "";
  const queue = search.get("queue") ?? "";
  const period = search.get("period") ?? "1h";
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
  const queues = [...new Set(query.data?.map((task) => task.queue))].toSorted();
  return (
    <Page title={words.title} lead={words.lead}>
      <div className="tool-bar">
        <input
          aria-label={words.find}
          placeholder={words.find}
          value={wanted}
          onChange={({ target }) => set("q", target.value)}
        />
        <Choice
          label={words.queueFilter}
          any={common.anyQueue}
          value={queue}
          options={queues}
          onChange={(name) => set("queue", name ?? "")}
        />
        {counted && (
          <>
            <select aria-label={words.period} value={period} onChange={({ target }) => set("period", target.value)}>
              {Object.entries(words.periods).map(([value, label]) => (
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
          {(items) => {
            const tasks = items
              .filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()))
              .filter((task) => queue === "" || task.queue === queue);
            if (items.length === 0) return <Empty title={words.noneYet}>{words.noneYetHint}</Empty>;
            if (tasks.length === 0) return <Empty title={words.noMatches} />;
            return <TaskTable tasks={tasks} statistics={statistics} />;
          }}
        </QueryResult>
      </Card>
    </Page>
  );
}

function TaskTable({
  tasks,
  statistics,
}: {
  tasks: readonly Task[];
  statistics: ReadonlyMap<string, TaskStatistics> | undefined;
}) {
  const healthOf = useHealthOf("task");
  const counted = useMay("viewer", { everybody: true });
  const of = ({ name }: Task): TaskStatistics | undefined => statistics?.get(name);
  const figures: Column<Task>[] = [
    { id: "health", head: common.health, render: ({ name }) => <HealthStatus health={healthOf(name)} /> },
    {
      id: "completed",
      head: common.completed,
      kind: "number",
      sort: (task) => numberOf(of(task)?.completed),
      render: (task) => formatCount(of(task)?.completed),
    },
    {
      id: "failed",
      head: common.failed,
      kind: "number",
      sort: (task) => numberOf(of(task)?.failed),
      render: (task) => formatCount(of(task)?.failed),
    },
    {
      id: "errors",
      head: words.errorRate,
      hint: words.errorRateHint,
      kind: "number",
      sort: (task) => of(task)?.errorRate,
      render: (task) => formatShare(of(task)?.errorRate),
    },
    {
      id: "p50",
      head: words.runP50,
      hint: words.runP50Hint,
      kind: "number",
      sort: (task) => of(task)?.runP50,
      render: (task) => formatDuration(of(task)?.runP50),
    },
    {
      id: "p95",
      head: words.runP95,
      hint: words.runP95Hint,
      kind: "number",
      sort: (task) => of(task)?.runP95,
      render: (task) => formatDuration(of(task)?.runP95),
    },
  ];
  return (
    <Table
      label={common.tableOf(words.title)}
      corner
      sortIn="sort"
      rows={tasks}
      rowKey={({ name }) => name}
      columns={[
        { id: "task", head: common.task, kind: "name", sort: ({ name }) => name, render: (task) => <Name task={task} /> },
        {
          id: "queue",
          head: common.queue,
          sort: ({ queue }) => queue,
          render: ({ queue }) => <Link href={pathTo("/queues", queue)}>{queue}</Link>,
        },
        ...(counted ? figures : []),
        {
          id: "limits",
          head: common.limits,
          render: ({ limits }) =>
            limits === null ? <span className="muted">{common.none}</span> : limits.map(describeLimit).join(", "),
        },
      ]}
    />
  );
}

function Name({ task: { name, pausedAt, pauseReason } }: { task: Task }) {
  return (
    <>
      <Link href={pathTo("/tasks", name)}>{name}</Link>
      {pausedAt !== null && (
        <CellDetail>
          <State state="paused" />
          {words.pauseReason(pauseReason)}
        </CellDetail>
      )}
    </>
  );
}

function numberOf(count: string | undefined): number | undefined {
  return count === undefined ? undefined : Number(count);
}
