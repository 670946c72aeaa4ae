import { ZoomOut } from "lucide-react";
import { memo, useMemo } from "react";
import { useLocation, useSearchParams } from "wouter";
import { useAlerts, useWorkerStarts } from "../../api/monitoring.ts";
import { type SeriesInterval, useSeries } from "../../api/series.ts";
import { jobsPath } from "../../router/links.ts";
import { usePreferences } from "../../components/preferences.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { type ChartMark, type ChartSeries, TimeChart, type TimeRange } from "../../components/chart/time-chart.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { words } from "./words.ts";

const PERIODS = { "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 } as const;
type Period = keyof typeof PERIODS;

/** The shortest range that can be selected (ms): less than three minutes would not show a line. */
const SHORTEST_MS = 180_000;

/** The shortest time axis if the data covers only part of the period (ms). */
const FITTED_MS = 600_000;

/** The range in the URL: a period up to now, or a selected range. */
function useRange(): {
  period: Period;
  zoom: TimeRange | undefined;
  choose: (period: Period) => void;
  onRange: (range: TimeRange | undefined) => void;
} {
  const [search, setSearch] = useSearchParams();
  const named = search.get("period") ?? "";
  const period: Period = named in PERIODS ? (named as Period) : "1h";
  const from = Date.parse(search.get("from") ?? "");
  const to = Date.parse(search.get("to") ?? "");
  return {
    period,
    zoom: from < to ? { from, to } : undefined,
    choose: (next) =>
      setSearch((old) => {
        const changed = new URLSearchParams(old);
        changed.delete("from");
        changed.delete("to");
        changed.set("period", next);
        return changed;
      }),
    onRange: (range) =>
      setSearch((old) => {
        const changed = new URLSearchParams(old);
        changed.delete("from");
        changed.delete("to");
        if (range !== undefined) {
          const missing = Math.max(0, SHORTEST_MS - (range.to - range.from)) / 2;
          const end = Math.min(Date.now(), range.to + missing);
          changed.set("from", new Date(Math.min(range.from - missing, end - SHORTEST_MS)).toISOString());
          changed.set("to", new Date(end).toISOString());
        }
        return changed;
      }),
  };
}

/** What the charts cover: one task, the tasks of one queue, or everything. */
interface Of {
  task?: string;
  queue?: string;
  /** Shows only the throughput and the backlog, or only the wait and run times. Default: all of them. */
  only?: "throughput" | "latency";
}

/** Throughput, backlog, wait times and run times of all tasks, of one task or of one queue, with the events of the period. */
export const Charts = memo(function Charts({ task, queue, only }: Of) {
  const { period, zoom, choose, onRange } = useRange();
  const query = useSeries({
    task,
    queue,
    ...(zoom === undefined ? { period } : { period: `${zoom.to - zoom.from}ms`, until: new Date(zoom.to).toISOString() }),
  });
  const end = query.dataUpdatedAt === 0 ? undefined : query.dataUpdatedAt;
  const range = zoom ?? (end === undefined ? undefined : { from: end - PERIODS[period], to: end });
  return (
    <Card
      title={only === undefined ? words.charts : words.chartsOf[only]}
      className="charts"
      actions={
        only === "latency" ? undefined : (
          <div className="tool-bar" role="group" aria-label={words.period}>
            {zoom !== undefined && (
              <>
                <span className="muted">
                  <Sentence
                    text={words.range}
                    slots={{
                      from: <ExactTime at={new Date(zoom.from).toISOString()} />,
                      to: <ExactTime at={new Date(zoom.to).toISOString()} />,
                    }}
                  />
                </span>
                <Button icon={<ZoomOut aria-hidden="true" />} onClick={() => onRange(undefined)}>
                  {words.backTo(period)}
                </Button>
              </>
            )}
            {zoom === undefined &&
              (Object.keys(PERIODS) as Period[]).map((each) => (
                <Button
                  key={each}
                  kind="quiet"
                  aria-pressed={each === period}
                  title={words.last(each)}
                  onClick={() => choose(each)}
                >
                  {each}
                </Button>
              ))}
          </div>
        )
      }
    >
      <QueryResult query={query} rows={8}>
        {(intervals) =>
          intervals.length === 0 || range === undefined ? (
            <Empty title={words.noData}>{words.noDataHint}</Empty>
          ) : (
            <Plots intervals={intervals} range={fit(range, intervals)} onRange={onRange} of={{ task, queue }} only={only} />
          )
        }
      </QueryResult>
    </Card>
  );
});

/** The part of the range that has data. Without this, the first minutes of a new system would be a sliver at the edge of an hour. */
function fit(range: TimeRange, intervals: readonly SeriesInterval[]): TimeRange {
  const first = Date.parse(intervals[0]?.at ?? "");
  return first > range.from ? { from: Math.min(first, range.to - FITTED_MS), to: range.to } : range;
}

interface Shown {
  intervals: readonly SeriesInterval[];
  range: TimeRange;
  onRange: (range: TimeRange | undefined) => void;
  of: { task: string | undefined; queue: string | undefined };
  only: Of["only"];
}

function Plots({ intervals, range, onRange, of, only }: Shown) {
  const marks = useMarks(range, of);
  const drawn = useMemo(() => toSeries(intervals), [intervals]);
  const [, navigate] = useLocation();
  const seconds = intervals[0]?.seconds ?? 60;
  const common = { times: drawn.times, interval: seconds * 1_000, range, onRange, marks, sync: "overview" };
  const pick = (picked: TimeRange): void =>
    navigate(
      jobsPath({
        ...(of.task === undefined ? {} : { task: of.task }),
        ...(of.queue === undefined ? {} : { queue: of.queue }),
        finished_after: new Date(picked.from).toISOString(),
        finished_before: new Date(picked.to).toISOString(),
      }),
    );
  const throughput = words.jobsPer(seconds);
  return (
    <>
      <div className="charts-body">
        {only !== "latency" && (
          <section aria-label={words.throughput} className="charts-wide">
            <h3>{drawn.hasBacklog ? words.jobsAndBacklog(throughput) : throughput}</h3>
            <TimeChart
              {...common}
              label={throughput}
              series={drawn.throughput}
              unit="count"
              height={180}
              onPick={pick}
              pickHint={words.pickHint}
            />
          </section>
        )}
        {only !== "throughput" && (
          <>
            <section aria-label={words.waitTime}>
              <h3>{words.waitTime}</h3>
              <TimeChart
                {...common}
                label={words.waitTime}
                series={drawn.waits}
                unit="duration"
                height={140}
                onPick={pick}
                pickHint={words.pickHint}
              />
            </section>
            <section aria-label={words.runTime}>
              <h3>{words.runTime}</h3>
              <TimeChart
                {...common}
                label={words.runTime}
                series={drawn.runs}
                unit="duration"
                height={140}
                onPick={pick}
                pickHint={words.pickHint}
              />
            </section>
          </>
        )}
      </div>
      {only !== "throughput" && <Marks marks={marks} step={seconds} />}
    </>
  );
}

/** Leaves out the unfinished interval, which would look like a drop. */
function toSeries(intervals: readonly SeriesInterval[]): {
  times: number[];
  throughput: ChartSeries[];
  hasBacklog: boolean;
  waits: ChartSeries[];
  runs: ChartSeries[];
} {
  const whole = intervals.filter(({ isWhole }) => isWhole);
  const quantiles = (kind: "wait" | "run"): ChartSeries[] => [
    { label: words.series.p50, color: "--accent", values: whole.map((interval) => interval[`${kind}P50`]) },
    { label: words.series.p95, color: "--state-scheduled", values: whole.map((interval) => interval[`${kind}P95`]) },
    { label: words.series.p99, color: "--state-retrying", values: whole.map((interval) => interval[`${kind}P99`]), dash: true },
  ];
  const hasBacklog = whole.some(({ pending }) => pending !== null);
  const waiting = ({ pending, held }: SeriesInterval): number | null =>
    pending === null ? null : Number(pending) + Number(held);
  return {
    times: whole.map(({ at }) => Date.parse(at)),
    throughput: [
      {
        label: words.series.completed,
        color: "--chart-completed",
        kind: "bars",
        values: whole.map(({ completed }) => Number(completed)),
      },
      {
        label: words.series.retried,
        color: "--chart-retried",
        kind: "bars",
        values: whole.map(({ retried }) => Number(retried)),
      },
      { label: words.series.failed, color: "--bad", kind: "bars", values: whole.map(({ failed }) => Number(failed)) },
      ...(hasBacklog
        ? [{ label: words.series.waiting, color: "--state-scheduled", axis: "right" as const, values: whole.map(waiting) }]
        : []),
    ],
    hasBacklog,
    waits: [
      ...quantiles("wait"),
      // How long the oldest pending job has been due; the quantiles cover only jobs that have started.
      ...(hasBacklog
        ? [{ label: words.series.oldest, color: "--bad", dash: true, values: whole.map(({ oldestSeconds }) => oldestSeconds) }]
        : []),
    ],
    runs: quantiles("run"),
  };
}

/**
 * The alerts that were raised and the workers that started within the range, oldest first. If the charts cover a task or queue, only its alerts are
 * included.
 */
function useMarks({ from, to }: TimeRange, { task, queue }: Shown["of"]): ChartMark[] {
  const alerts = useAlerts(true);
  // Rounded to whole minutes, so that the query key does not change with every render.
  const since = new Date(Math.floor(from / 60_000) * 60_000).toISOString();
  const starts = useWorkerStarts(since);
  return useMemo(
    () =>
      [
        ...(alerts.data ?? [])
          .filter(({ target }) => (task ?? queue ?? target) === target)
          .map(({ raisedAt: at, severity, message }) => ({
            at: Date.parse(at),
            label: words.alertEvent(message),
            color: severity === "critical" ? "--bad" : "--warn",
          })),
        ...(starts.data ?? []).map(({ startedAt: at, host, workers }) => ({
          at: Date.parse(at),
          label: words.startEvent(workers, host),
          color: "--state-running",
        })),
      ]
        .filter(({ at }) => at >= from && at <= to)
        .toSorted((a, b) => a.at - b.at),
    [alerts.data, starts.data, from, to, task, queue],
  );
}

/** How many of the newest events are listed below the charts. */
const WRITTEN = 5;

function Marks({ marks, step }: { marks: readonly ChartMark[]; step: number }) {
  const { zone } = usePreferences();
  return (
    <div className="charts-marks">
      <p className="muted">{words.chartHint(step, marks.length > 0)}</p>
      {marks.length > 0 && (
        <ul>
          {marks
            .slice(-WRITTEN)
            .toReversed()
            .map(({ at, label, color }) => (
              <li key={`${at} ${label}`}>
                <span className="charts-mark" style={{ color: `var(${color})` }} aria-hidden="true" />
                <time dateTime={new Date(at).toISOString()}>{formatExact(at, zone, { seconds: false })}</time>
                <span className="truncate" title={label}>
                  {label}
                </span>
              </li>
            ))}
          {marks.length > WRITTEN && <li className="muted charts-marks-rest">{words.earlierEvents(marks.length - WRITTEN)}</li>}
        </ul>
      )}
    </div>
  );
}
