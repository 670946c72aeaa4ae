import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { Link, useLocation } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { jobsPath, nameFrom, pathTo } from "../../router/links.ts";
import { formatCount, formatShare } from "../../components/numbers.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { formatDuration } from "../../components/time/format-times.ts";
import type { PageProps } from "../../router/page-props.ts";
import { Button } from "../../components/button.tsx";
import { Json } from "../../components/json.tsx";
import { Card, Figure, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { Charts } from "../overview/charts.tsx";
import "../overview/overview.css";
import { HealthNotice, useHealthOf } from "../limits/health-notice.tsx";
import { LimitUseCard } from "../limits/limit-use-card.tsx";
import { LimitsCard } from "../limits/limits-card.tsx";
import { LiveJobs } from "../limits/live-jobs.tsx";
import { PauseButton, PausedNotice } from "../limits/pause.tsx";
import { RetryCard } from "../limits/retry-card.tsx";
import { routeOf, type Target } from "../limits/limits.ts";
import "../limits/limits.css";
import { useStatistics } from "../../api/statistics.ts";
import type { Task } from "../../api/tasks.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

export default function TaskPage({ parameters }: PageProps) {
  const name = nameFrom(parameters.name);
  const target: Target = { scope: "task", name };
  const query = useQuery({
    queryKey: ["task", name],
    queryFn: ({ signal }) => rest<Task>("GET", routeOf(target), undefined, signal),
    refetchInterval: 15_000,
  });
  const health = useHealthOf("task")(name);
  const counted = useMay("viewer", { everybody: true });
  const [, navigate] = useLocation();
  const may = useMay("enqueuer");
  const task = query.data;
  return (
    <Page
      title={name}
      lead={task?.description ?? <Link href="/tasks">{words.title}</Link>}
      actions={
        task !== undefined && (
          <>
            {may && (
              <Button icon={<Plus aria-hidden="true" />} onClick={() => navigate(`/jobs?new=${encodeURIComponent(name)}`)}>
                {common.enqueueJob}
              </Button>
            )}
            <PauseButton target={target} isPaused={task.pausedAt !== null} />
          </>
        )
      }
    >
      <QueryResult query={query}>
        {(row) => (
          <>
            <PausedNotice target={target} row={row} waiting={words.jobsWait} />
            <HealthNotice health={health} />
            {counted && <Figures task={name} />}
            {counted && <Charts task={name} />}
            <div className="grid">
              <LimitsCard
                target={target}
                limits={row.limits ?? []}
                note={
                  <Sentence
                    text={words.queueLimitsToo}
                    slots={{ queue: <Link href={pathTo("/queues", row.queue)}>{row.queue}</Link> }}
                  />
                }
              />
              <RetryCard target={target} policy={row.retry} />
            </div>
            <LimitUseCard target={target} limits={row.limits ?? []} />
            <LiveJobs of={{ task: name }} />
            <Definition task={row} />
          </>
        )}
      </QueryResult>
    </Page>
  );
}

/** Outcomes and timings of the task's jobs in the last 24 hours. */
function Figures({ task }: { task: string }) {
  const query = useStatistics("1d");
  const of = query.data?.get(task);
  if (query.data === undefined) return null;
  return (
    <dl className="figures" aria-label={words.lastDay}>
      <Figure label={common.completed} value={formatCount(of?.completed ?? 0)} detail={words.lastDayDetail} />
      <Figure
        label={words.failedFinal}
        value={
          <Link className="plain" href={jobsPath({ state: "failed", task })}>
            {formatCount(of?.failed ?? 0)}
          </Link>
        }
        detail={words.lastDayDetail}
        tone={of === undefined || of.failed === "0" ? undefined : "bad"}
      />
      <Figure label={words.errorRate} value={formatShare(of?.errorRate)} />
      <Figure label={words.runTimeP50} value={formatDuration(of?.runP50)} />
      <Figure label={words.runTimeP95} value={formatDuration(of?.runP95)} />
      <Figure label={words.waitP95} value={formatDuration(of?.waitP95)} detail={words.afterDue} />
    </dl>
  );
}

function Definition({ task }: { task: Task }) {
  return (
    <Card title={words.definition}>
      <dl className="facts card-body">
        <dt>{common.queue}</dt>
        <dd>
          <Link href={pathTo("/queues", task.queue)}>{task.queue}</Link>
        </dd>
        <dt>{words.registered}</dt>
        <dd>
          <ExactTime at={task.registeredAt} absent={common.never} />
        </dd>
        <dt>{words.timeout}</dt>
        <dd>{task.timeout ?? words.nothing}</dd>
        <dt>{words.redacted}</dt>
        <dd>{task.redact === null ? words.nothing : task.redact.map((path) => <code key={path}>{path} </code>)}</dd>
      </dl>
      {(["payloadSchema", "resultSchema"] as const).map(
        (which) =>
          task[which] !== null && (
            <details key={which} className="card-body">
              <summary>{words[which]}</summary>
              <Json value={task[which]} label={words[which]} />
            </details>
          ),
      )}
    </Card>
  );
}
