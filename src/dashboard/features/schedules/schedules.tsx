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
import { words } from "./words.ts";
import { common } from "../../components/words.ts";
import "../limits/limits.css";
import "./schedules.css";

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
      title={words.title}
      lead={words.lead}
      actions={
        may && (
          <Button kind="primary" icon={<CalendarPlus aria-hidden="true" />} onClick={() => set("new", "yes")}>
            {words.newSchedule}
          </Button>
        )
      }
    >
      <LoadCard />
      <div className="tool-bar">
        <input
          aria-label={words.find}
          placeholder={words.findExample}
          value={wanted}
          onChange={(event) => set("q", event.target.value)}
        />
        <select
          aria-label={words.show}
          value={show}
          onChange={(event) => set("show", event.target.value === "all" ? undefined : event.target.value)}
        >
          {Object.entries(words.shows).map(([value, label]) => (
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
            if (all.length === 0) return <Empty title={words.noneYet}>{words.noneYetHint}</Empty>;
            if (schedules.length === 0) return <Empty title={words.noMatches} />;
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
    <div className="table-scroll" tabIndex={0} role="region" aria-label={words.title}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{words.schedule}</th>
            <th scope="col">{words.when}</th>
            <th scope="col">{words.next}</th>
            <th scope="col">{words.last}</th>
            {may && (
              <th scope="col">
                <span className="visually-hidden">{words.buttons}</span>
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
                  {schedule.source === "crontab" ? words.inCrontab : ""}
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
                  schedule.lastState === null ? (
                    <span className="muted">–</span>
                  ) : (
                    (words.occurrences[schedule.lastState] ?? schedule.lastState)
                  )
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

/** The next run, relative to now and as local time of the schedule's time zone. */
function Next({ schedule }: { schedule: Schedule }) {
  if (!schedule.isEnabled) return <span className="muted">{words.disabled}</span>;
  if (schedule.problem !== null) return <span className="schedule-problem">{schedule.problem}</span>;
  if (schedule.nextAt === null) return <span className="muted">{common.none}</span>;
  return (
    <>
      <Time at={schedule.nextAt} />
      <span className="cell-detail">{formatExact(schedule.nextAt, { name: schedule.timezone }, { seconds: false })}</span>
    </>
  );
}
