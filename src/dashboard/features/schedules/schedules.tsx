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
import { CellDetail, Table } from "../../components/table/table.tsx";
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
            return <ScheduleTable schedules={schedules} />;
          }}
        </QueryResult>
      </Card>
      {may && search.get("new") !== null && <ScheduleDialog schedule={undefined} onClose={() => set("new", undefined)} />}
    </Page>
  );
}

function ScheduleTable({ schedules }: { schedules: readonly Schedule[] }) {
  const may = useMay("operator");
  return (
    <Table
      label={common.tableOf(words.title)}
      corner
      sortIn="sort"
      rows={schedules}
      rowKey={({ source, name }) => `${source} ${name}`}
      isOff={({ isEnabled }) => !isEnabled}
      columns={[
        {
          id: "schedule",
          head: words.schedule,
          kind: "name",
          sort: ({ name }) => name,
          render: ({ name, task, source }) => (
            <>
              <Link href={pathTo("/schedules", name)}>{name}</Link>
              <CellDetail>
                {task}
                {source === "crontab" ? words.inCrontab : ""}
              </CellDetail>
            </>
          ),
        },
        {
          id: "when",
          head: words.when,
          render: ({ sentence, timezone }) => (
            <>
              {sentence}
              <CellDetail>{timezone}</CellDetail>
            </>
          ),
        },
        { id: "next", head: words.next, sort: ({ nextAt }) => nextAt, render: (schedule) => <Next schedule={schedule} /> },
        { id: "last", head: words.last, sort: ({ lastDueAt }) => lastDueAt, render: (schedule) => <Last schedule={schedule} /> },
        may && {
          id: "actions",
          head: words.buttons,
          kind: "actions",
          render: (schedule) => <ScheduleButtons schedule={schedule} quiet />,
        },
      ]}
    />
  );
}

/** The last occurrence: how its job ended or, if it has no job, the outcome of the occurrence. */
function Last({ schedule: { lastOutcome, lastState, lastDueAt } }: { schedule: Schedule }) {
  return (
    <>
      {lastOutcome !== null ? (
        <State state={lastOutcome} />
      ) : lastState === null ? (
        <span className="muted">–</span>
      ) : (
        (words.occurrences[lastState] ?? lastState)
      )}
      {lastDueAt !== null && (
        <CellDetail>
          <Time at={lastDueAt} />
        </CellDetail>
      )}
    </>
  );
}

/** The next run, relative to now and as local time in the schedule's time zone. */
function Next({ schedule }: { schedule: Schedule }) {
  if (!schedule.isEnabled) return <span className="muted">{words.disabled}</span>;
  if (schedule.problem !== null) return <span className="schedule-problem">{schedule.problem}</span>;
  if (schedule.nextAt === null) return <span className="muted">{common.none}</span>;
  return (
    <>
      <Time at={schedule.nextAt} />
      <CellDetail>{formatExact(schedule.nextAt, { name: schedule.timezone }, { seconds: false })}</CellDetail>
    </>
  );
}
