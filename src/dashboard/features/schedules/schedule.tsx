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
import { WhyCard } from "../jobs/detail/why-card.tsx";
import { Calendar } from "./calendar.tsx";
import { ClockChanges } from "./clock-changes.tsx";
import { RunStrip } from "./run-strip.tsx";
import { RunsCard } from "./runs-card.tsx";
import { RemoveSchedule, ScheduleButtons, useMayChange } from "./schedule-actions.tsx";
import { ScheduleDialog } from "./schedule-form.tsx";
import { type Schedule, scheduleRoute, timingOf } from "../../api/schedules.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./schedules.css";

export default function SchedulePage({ parameters }: PageProps) {
  const name = nameFrom(parameters.name);
  const query = useQuery({
    queryKey: ["schedule", name],
    queryFn: ({ signal }) => rest<Schedule>("GET", scheduleRoute(name), undefined, signal),
    refetchInterval: 5_000,
  });
  return (
    <Page
      title={name}
      lead={<Link href="/schedules">{words.title}</Link>}
      actions={query.data && <Actions schedule={query.data} />}
    >
      <QueryResult query={query}>
        {(schedule) => (
          <>
            {schedule.problem !== null && (
              <div className="notice" data-kind="error" role="alert">
                <div>{words.timesUnknown(schedule.problem)}</div>
              </div>
            )}
            <RunStrip name={name} />
            <div className="grid">
              <Facts schedule={schedule} />
              <Card title={common.payload}>
                <div className="card-body">
                  <Json value={schedule.payload ?? {}} label={common.payload} />
                </div>
              </Card>
            </div>
            <WhyCard of={scheduleRoute(name)} />
            <Card title={words.nextRuns}>
              <div className="card-body">
                <Calendar timing={timingOf(schedule)} />
                {!schedule.isEnabled && <p className="muted">{words.nextRunsDisabled}</p>}
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
        {common.edit}
      </Button>
      <RemoveSchedule schedule={schedule} />
      {search.get("edit") !== null && <ScheduleDialog schedule={schedule} onClose={() => setOpen(false)} />}
    </>
  );
}

function Facts({ schedule }: { schedule: Schedule }) {
  const { timezone } = schedule;
  const local = (at: string): string => formatExact(at, { name: timezone });
  return (
    <Card title={words.facts}>
      <dl className="facts card-body">
        <dt>{common.task}</dt>
        <dd>
          <Link href={pathTo("/tasks", schedule.task)}>{schedule.task}</Link>
        </dd>
        <dt>{words.when}</dt>
        <dd>
          {schedule.sentence} {schedule.cron !== null && <code className="muted">{schedule.cron}</code>}
        </dd>
        <dt>{words.timeZone}</dt>
        <dd>{timezone}</dd>
        <dt>{words.next}</dt>
        <dd>
          {schedule.isEnabled ? (
            <>
              <Time at={schedule.nextAt} absent={common.none} />
              {schedule.nextAt !== null && <span className="muted">, {local(schedule.nextAt)}</span>}
            </>
          ) : (
            words.isDisabled
          )}
        </dd>
        {schedule.startsAt !== null && (
          <>
            <dt>{words.start}</dt>
            <dd>{local(schedule.startsAt)}</dd>
          </>
        )}
        {schedule.endsAt !== null && (
          <>
            <dt>{words.end}</dt>
            <dd>{local(schedule.endsAt)}</dd>
          </>
        )}
        {schedule.maxRuns !== null && (
          <>
            <dt>{words.runs}</dt>
            <dd>{common.of(formatCount(schedule.runs), formatCount(schedule.maxRuns))}</dd>
          </>
        )}
        {schedule.jitter !== null && (
          <>
            <dt>{words.jitter}</dt>
            <dd>{words.jitterUpTo(formatInterval(schedule.jitter))}</dd>
          </>
        )}
        <dt>{words.overlap}</dt>
        <dd>
          {words.overlapMeanings[schedule.overlap]}
          {schedule.maxInstances !== null && words.overlapMax(schedule.maxInstances)}
        </dd>
        <dt>{words.missed}</dt>
        <dd>
          {words.missedMeanings[schedule.missed]}
          {schedule.missedWindow !== null && words.catchUp(formatInterval(schedule.missedWindow))}
        </dd>
        {schedule.requires !== null && (
          <>
            <dt>{words.dependsOn}</dt>
            <dd>
              {Object.entries(schedule.requires).map(([other, window]) => (
                <span key={other}>
                  <Sentence
                    text={words.requirement}
                    slots={{ schedule: <Link href={pathTo("/schedules", other)}>{other}</Link>, window }}
                  />
                </span>
              ))}
              <span className="muted">{words.requirementWait(formatInterval(schedule.requiresWait))}</span>
            </dd>
          </>
        )}
        {schedule.tenant !== null && (
          <>
            <dt>{common.tenant}</dt>
            <dd>{schedule.tenant}</dd>
          </>
        )}
        <dt>{schedule.source === "crontab" ? words.registered : words.changed}</dt>
        <dd>
          <ExactTime at={schedule.updatedAt} />
          {schedule.createdBy !== null && <span className="muted">{words.createdBy(schedule.createdBy)}</span>}
          {schedule.source === "crontab" && <span className="muted">{words.fromCrontab}</span>}
        </dd>
      </dl>
    </Card>
  );
}
