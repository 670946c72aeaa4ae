import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { rest, withQuery } from "../../api/request.ts";
import { jobsPath, nameFrom, pathTo } from "../../router/links.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import type { PageProps } from "../../router/page-props.ts";
import { Empty } from "../../components/notice.tsx";
import { Card, Figure, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { WhyCard } from "../jobs/detail/why-card.tsx";
import { useMay } from "../../api/me.ts";
import { Charts } from "../overview/charts.tsx";
import "../overview/overview.css";
import { LiveJobs } from "../limits/live-jobs.tsx";
import { HealthNotice, useHealthOf } from "../limits/health-notice.tsx";
import { LimitUseCard } from "../limits/limit-use-card.tsx";
import { LimitsCard } from "../limits/limits-card.tsx";
import { PauseButton, PausedNotice } from "../limits/pause.tsx";
import { RetryCard } from "../limits/retry-card.tsx";
import type { Task } from "../../api/tasks.ts";
import { describeLimit, type Queue, routeOf, type Target } from "../limits/limits.ts";
import "../limits/limits.css";
import { useQueueCounts } from "./use-queues.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

export default function QueuePage({ parameters }: PageProps) {
  const name = nameFrom(parameters.name);
  const target: Target = { scope: "queue", name };
  const query = useQuery({
    queryKey: ["queue", name],
    queryFn: ({ signal }) => rest<Queue>("GET", routeOf(target), undefined, signal),
    refetchInterval: 30_000,
  });
  const live = useQueueCounts()?.get(name);
  const queue = query.data && { ...query.data, ...live };
  const health = useHealthOf("queue")(name);
  const everybody = useMay("viewer", { everybody: true });
  return (
    <Page
      title={name}
      lead={<Link href="/queues">{words.title}</Link>}
      actions={queue !== undefined && <PauseButton target={target} isPaused={queue.pausedAt !== null} />}
    >
      <QueryResult query={query}>
        {() =>
          queue !== undefined && (
            <>
              <PausedNotice target={target} row={queue} waiting={words.waitingForResume(queue.paused)} />
              <HealthNotice health={health} />
              <dl className="figures">
                <Figure label={common.running} value={<Count queue={name} state="running" count={queue.running} />} />
                <Figure
                  label={common.pending}
                  value={<Count queue={name} state="pending" count={queue.pending} />}
                  detail={common.readyToStart}
                />
                <Figure
                  label={common.blocked}
                  value={<Count queue={name} state="blocked" count={queue.blocked} />}
                  detail={words.blockedBy}
                />
                <Figure label={common.paused} value={<Count queue={name} state="paused" count={queue.paused} />} />
                <Figure
                  label={common.scheduled}
                  value={<Count queue={name} state="scheduled" count={queue.later} />}
                  detail={common.dueLater}
                />
                <Figure label={words.oldestJob} value={<Time at={queue.oldest} />} detail={words.oldestJobDetail} />
              </dl>
              <WhyCard of={routeOf(target)} except={queue.pausedAt === null ? undefined : "queue_paused"} />
              {everybody && <Charts queue={name} />}
              <LiveJobs of={{ queue: name }} />
              <LimitUseCard target={target} limits={queue.limits ?? []} />
              <div className="grid">
                <LimitsCard target={target} limits={queue.limits ?? []} note={words.limitsNote} />
                <RetryCard target={target} policy={queue.retry} />
              </div>
              <Tasks queue={name} />
            </>
          )
        }
      </QueryResult>
    </Page>
  );
}

function Count({ queue, state, count }: { queue: string; state: string; count: string }) {
  return (
    <Link className="plain" href={jobsPath({ state, queue })}>
      {formatCount(count)}
    </Link>
  );
}

function Tasks({ queue }: { queue: string }) {
  const query = useQuery({
    queryKey: ["tasks", { queue }],
    queryFn: ({ signal }) =>
      rest<{ items: Task[]; nextCursor: string | null }>("GET", withQuery("/tasks", { queue, limit: 100 }), undefined, signal),
  });
  return (
    <Card title={words.tasks}>
      <QueryResult query={query} rows={3}>
        {({ items, nextCursor }) =>
          items.length === 0 ? (
            <Empty title={words.noTasks}>{words.noTasksHint}</Empty>
          ) : (
            <>
              <Table
                label={words.tasksOf}
                rows={items}
                rowKey={({ name: task }) => task}
                columns={[
                  {
                    id: "task",
                    head: common.task,
                    kind: "name",
                    render: ({ name: task, description }) => (
                      <>
                        <Link href={pathTo("/tasks", task)}>{task}</Link>
                        {description !== null && <CellDetail>{description}</CellDetail>}
                      </>
                    ),
                  },
                  {
                    id: "state",
                    head: common.state,
                    render: ({ pausedAt }) =>
                      pausedAt === null ? <span className="muted">{words.active}</span> : <span>{words.paused}</span>,
                  },
                  {
                    id: "limits",
                    head: words.taskLimits,
                    render: ({ limits }) =>
                      limits === null ? <span className="muted">{common.none}</span> : limits.map(describeLimit).join(", "),
                  },
                ]}
              />
              {nextCursor !== null && (
                <p className="limits-note muted">
                  <Sentence
                    text={words.firstTasks}
                    slots={{ all: <Link href={`/tasks?queue=${encodeURIComponent(queue)}`}>{words.allTasks}</Link> }}
                  />
                </p>
              )}
            </>
          )
        }
      </QueryResult>
    </Card>
  );
}
