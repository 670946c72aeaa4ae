import { CalendarPlus } from "lucide-react";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { pathTo } from "../../router/links.ts";
import { Time } from "../../components/time/time.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { LoadCard } from "./load-card.tsx";
import { ScheduleButtons } from "./schedule-actions.tsx";
import { ScheduleDialog } from "./schedule-form.tsx";
import { type Schedule, useSchedules } from "../../api/schedules.ts";
import "../limits/limits.css";
import "./schedules.css";

const SHOW = { all: "All", enabled: "Enabled", disabled: "Disabled" } as const;

export default function SchedulesPage() {
  const query = useSchedules();
  const may = useMay("operator");
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("q") ?? "";
  const show = search.get("show") ?? "all";
  const set = (name: string, value: string | undefined): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === undefined || value === "") after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  };
  return (
    <Page
      title="Schedules"
      lead="What enqueues jobs by itself, and when."
      actions={
        may && (
          <Button kind="primary" icon={<CalendarPlus aria-hidden="true" />} onClick={() => set("new", "yes")}>
            New schedule
          </Button>
        )
      }
    >
      <LoadCard />
      <div className="tool-bar">
        <input
          aria-label="Find a schedule"
          placeholder="Name or task"
          value={wanted}
          onChange={(event) => set("q", event.target.value)}
        />
        <select
          aria-label="Which schedules"
          value={show}
          onChange={(event) => set("show", event.target.value === "all" ? undefined : event.target.value)}
        >
          {Object.entries(SHOW).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <Card>
        <QueryResult query={query}>
          {(all) => {
            const schedules = all.filter(
              ({ name, task, isEnabled }) =>
                `${name} ${task}`.toLowerCase().includes(wanted.toLowerCase()) &&
                (show === "all" || (show === "enabled") === isEnabled),
            );
            if (all.length === 0) return <Empty title="There is no schedule yet.">One enqueues jobs at certain times.</Empty>;
            if (schedules.length === 0) return <Empty title="No schedule is like that." />;
            return <Table schedules={schedules} />;
          }}
        </QueryResult>
      </Card>
      {may && search.get("new") !== null && <ScheduleDialog schedule={undefined} onClose={() => set("new", undefined)} />}
    </Page>
  );
}

function Table({ schedules }: { schedules: readonly Schedule[] }) {
  const may = useMay("operator");
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Schedules">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Schedule</th>
            <th scope="col">When</th>
            <th scope="col">Next</th>
            <th scope="col">Last</th>
            {may && (
              <th scope="col">
                <span className="visually-hidden">Run, enable or disable</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {schedules.map((schedule) => (
            <tr key={`${schedule.source} ${schedule.name}`} data-disabled={schedule.isEnabled ? undefined : "yes"}>
              <th scope="row">
                <Link href={pathTo("/schedules", schedule.name)}>{schedule.name}</Link>
                <span className="cell-detail">
                  {schedule.task}
                  {schedule.source === "crontab" ? " · in the crontab" : ""}
                </span>
              </th>
              <td>
                {schedule.sentence}
                <span className="cell-detail">{schedule.timezone}</span>
              </td>
              <td>
                <Next schedule={schedule} />
              </td>
              <td>
                {schedule.lastOutcome === null ? (
                  (schedule.lastState ?? <span className="muted">–</span>)
                ) : (
                  <State state={schedule.lastOutcome} />
                )}
                {schedule.lastDueAt !== null && (
                  <span className="cell-detail">
                    <Time at={schedule.lastDueAt} />
                  </span>
                )}
              </td>
              {may && (
                <td>
                  <ScheduleButtons schedule={schedule} quiet />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** When it occurs next: from now, and as its own zone's clocks show it. */
function Next({ schedule }: { schedule: Schedule }) {
  if (!schedule.isEnabled) return <span className="muted">disabled</span>;
  if (schedule.problem !== null) return <span className="schedule-problem">{schedule.problem}</span>;
  if (schedule.nextAt === null) return <span className="muted">none</span>;
  return (
    <>
      <Time at={schedule.nextAt} />
      <span className="cell-detail">{formatExact(schedule.nextAt, { name: schedule.timezone }, { seconds: false })}</span>
    </>
  );
}
