import { useQuery } from "@tanstack/react-query";
import { Pencil } from "lucide-react";
import { Link, useSearchParams } from "wouter";
import { rest } from "../../api/request.ts";
import { formatInterval } from "../../components/time/format-intervals.ts";
import { nameFrom, pathTo } from "../../router/links.ts";
import { formatCount } from "../../components/numbers.ts";
import { ExactTime, Time } from "../../components/time/time.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import type { PageProps } from "../../router/page-props.ts";
import { Button } from "../../components/button.tsx";
import { Json } from "../../components/json.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { Calendar } from "./calendar.tsx";
import { ClockChanges } from "./clock-changes.tsx";
import { RunsCard } from "./runs-card.tsx";
import { RemoveSchedule, ScheduleButtons, useMayChange } from "./schedule-actions.tsx";
import { ScheduleDialog } from "./schedule-form.tsx";
import { type Schedule, scheduleRoute, timingOf } from "../../api/schedules.ts";
import "./schedules.css";

export default function SchedulePage({ parameters }: PageProps) {
  const name = nameFrom(parameters.name);
  const query = useQuery({
    queryKey: ["schedule", name],
    queryFn: ({ signal }) => rest<Schedule>("GET", scheduleRoute(name), undefined, signal),
    refetchInterval: 5_000,
  });
  return (
    <Page title={name} lead={<Link href="/schedules">Schedules</Link>} actions={query.data && <Actions schedule={query.data} />}>
      <QueryResult query={query}>
        {(schedule) => (
          <>
            {schedule.problem !== null && (
              <div className="notice" data-kind="error" role="alert">
                <div>Its times cannot be computed: {schedule.problem}</div>
              </div>
            )}
            <div className="grid">
              <Facts schedule={schedule} />
              <Card title="What its jobs are given">
                <div className="card-body">
                  <Json value={schedule.payload ?? {}} label="Payload" />
                </div>
              </Card>
            </div>
            <Card title="Next runs">
              <div className="card-body">
                <Calendar timing={timingOf(schedule)} />
                {!schedule.isEnabled && <p className="muted">It is disabled: these are the times at which it would occur.</p>}
                <ClockChanges timing={timingOf(schedule)} />
              </div>
            </Card>
            <RunsCard name={name} />
          </>
        )}
      </QueryResult>
    </Page>
  );
}

function Actions({ schedule }: { schedule: Schedule }) {
  const may = useMayChange(schedule);
  const [search, setSearch] = useSearchParams();
  const setOpen = (isOpen: boolean): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        if (isOpen) after.set("edit", "yes");
        else after.delete("edit");
        return after;
      },
      { replace: true },
    );
  };
  if (!may) return null;
  return (
    <>
      <ScheduleButtons schedule={schedule} />
      <Button icon={<Pencil aria-hidden="true" />} onClick={() => setOpen(true)}>
        Edit
      </Button>
      <RemoveSchedule schedule={schedule} />
      {search.get("edit") !== null && <ScheduleDialog schedule={schedule} onClose={() => setOpen(false)} />}
    </>
  );
}

const OVERLAPS = {
  allow: "It is enqueued all the same.",
  skip: "It is left out.",
  queue: "It is enqueued behind them.",
  cancel: "The oldest is cancelled.",
} as const;

const MISSED = { none: "They are left out.", one: "One job stands for all.", all: "Each is made up for." } as const;

function Facts({ schedule }: { schedule: Schedule }) {
  const { timezone } = schedule;
  const local = (at: string): string => formatExact(at, { name: timezone });
  return (
    <Card title="Schedule">
      <dl className="facts card-body">
        <dt>Task</dt>
        <dd>
          <Link href={pathTo("/tasks", schedule.task)}>{schedule.task}</Link>
        </dd>
        <dt>When</dt>
        <dd>
          {schedule.sentence} {schedule.cron !== null && <code className="muted">{schedule.cron}</code>}
        </dd>
        <dt>Time zone</dt>
        <dd>{timezone}</dd>
        <dt>Next</dt>
        <dd>
          {schedule.isEnabled ? (
            <>
              <Time at={schedule.nextAt} absent="none" />
              {schedule.nextAt !== null && <span className="muted">, {local(schedule.nextAt)}</span>}
            </>
          ) : (
            "It is disabled."
          )}
        </dd>
        {schedule.startsAt !== null && (
          <>
            <dt>From</dt>
            <dd>{local(schedule.startsAt)}</dd>
          </>
        )}
        {schedule.endsAt !== null && (
          <>
            <dt>Until</dt>
            <dd>{local(schedule.endsAt)}</dd>
          </>
        )}
        {schedule.maxRuns !== null && (
          <>
            <dt>Runs</dt>
            <dd>
              {formatCount(schedule.runs)} of {formatCount(schedule.maxRuns)}, then it is over
            </dd>
          </>
        )}
        {schedule.jitter !== null && (
          <>
            <dt>Jitter</dt>
            <dd>up to {formatInterval(schedule.jitter)} later, at random</dd>
          </>
        )}
        <dt>While its jobs run</dt>
        <dd>
          {OVERLAPS[schedule.overlap]}
          {schedule.maxInstances !== null && ` At most ${schedule.maxInstances} at a time.`}
        </dd>
        <dt>Missed times</dt>
        <dd>
          {MISSED[schedule.missed]}
          {schedule.missedWindow !== null && ` No older than ${formatInterval(schedule.missedWindow)}.`}
        </dd>
        {schedule.requires !== null && (
          <>
            <dt>Requires</dt>
            <dd>
              {Object.entries(schedule.requires).map(([other, window]) => (
                <span key={other}>
                  <Link href={pathTo("/schedules", other)}>{other}</Link> within {window}{" "}
                </span>
              ))}
              <span className="muted">; waits for {formatInterval(schedule.requiresWait)}</span>
            </dd>
          </>
        )}
        {schedule.tenant !== null && (
          <>
            <dt>Tenant</dt>
            <dd>{schedule.tenant}</dd>
          </>
        )}
        <dt>{schedule.source === "crontab" ? "Told of" : "Changed"}</dt>
        <dd>
          <ExactTime at={schedule.updatedAt} />
          {schedule.createdBy !== null && <span className="muted">, made by {schedule.createdBy}</span>}
          {schedule.source === "crontab" && <span className="muted">, from a worker's crontab: it is changed there</span>}
        </dd>
      </dl>
    </Card>
  );
}
