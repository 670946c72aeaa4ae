import { ZoomOut } from "lucide-react";
import { memo, useMemo } from "react";
import { useSearchParams } from "wouter";
import { useAlerts, useWorkerStarts } from "../../api/monitoring.ts";
import { type SeriesInterval, useSeries } from "../../api/series.ts";
import { formatShort } from "../../components/numbers.ts";
import { usePreferences } from "../../components/preferences.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { formatDuration, formatExact } from "../../components/time/format-times.ts";
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

/** The range in the address: a period up to now, or a selected range. */
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

/** Throughput, failures, wait and run times with the events of that time, of all tasks or of one. */
export const Charts = memo(function Charts({ task }: { task?: string }) {
  const { period, zoom, choose, onRange } = useRange();
  const query = useSeries({
    task,
    ...(zoom === undefined ? { period } : { period: `${zoom.to - zoom.from}ms`, until: new Date(zoom.to).toISOString() }),
  });
  const end = query.dataUpdatedAt === 0 ? undefined : query.dataUpdatedAt;
  const range = zoom ?? (end === undefined ? undefined : { from: end - PERIODS[period], to: end });
  return (
    <Card
      title={words.charts}
      className="charts"
      actions={
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
      }
    >
      <QueryResult query={query} rows={8}>
        {(intervals) =>
          intervals.length === 0 || range === undefined ? (
            <Empty title={words.noData}>{words.noDataHint}</Empty>
          ) : (
            <Plots intervals={intervals} range={range} onRange={onRange} />
          )
        }
      </QueryResult>
    </Card>
  );
});

interface Shown {
  intervals: readonly SeriesInterval[];
  range: TimeRange;
  onRange: (range: TimeRange | undefined) => void;
}

function Plots({ intervals, range, onRange }: Shown) {
  const marks = useMarks(range);
  const drawn = useMemo(() => toSeries(intervals), [intervals]);
  const common = { times: drawn.times, range, onRange, marks, sync: "overview" };
  return (
    <>
      <div className="charts-body">
        <section aria-label={words.throughput} className="charts-wide">
          <h3>{words.jobsPerMinute}</h3>
          <TimeChart {...common} label={words.jobsPerMinute} series={drawn.throughput} format={formatRate} height={190} />
        </section>
        <section aria-label={words.waitTime}>
          <h3>{words.waitTime}</h3>
          <TimeChart {...common} label={words.waitTime} series={drawn.waits} format={formatDuration} height={150} />
        </section>
        <section aria-label={words.runTime}>
          <h3>{words.runTime}</h3>
          <TimeChart {...common} label={words.runTime} series={drawn.runs} format={formatDuration} height={150} />
        </section>
      </div>
      <Marks marks={marks} step={intervals[0]?.seconds ?? 0} />
    </>
  );
}

/** Leaves out the unfinished interval, which would look like a drop. */
function toSeries(intervals: readonly SeriesInterval[]): {
  times: number[];
  throughput: ChartSeries[];
  waits: ChartSeries[];
  runs: ChartSeries[];
} {
  const whole = intervals.filter(({ isWhole }) => isWhole);
  const rate = (count: (step: SeriesInterval) => string): number[] =>
    whole.map((interval) => (Number(count(interval)) * 60) / interval.seconds);
  const quantiles = (kind: "wait" | "run"): ChartSeries[] => [
    { label: words.series.p50, color: "--accent", values: whole.map((interval) => interval[`${kind}P50`]) },
    { label: words.series.p95, color: "--state-scheduled", values: whole.map((interval) => interval[`${kind}P95`]) },
    { label: words.series.p99, color: "--state-retrying", values: whole.map((interval) => interval[`${kind}P99`]), dash: true },
  ];
  return {
    times: whole.map(({ at }) => Date.parse(at)),
    throughput: [
      { label: words.series.completed, color: "--good", values: rate(({ completed }) => completed), fill: true },
      { label: words.series.failed, color: "--bad", values: rate(({ failed }) => failed) },
      {
        label: words.series.failedAttempts,
        color: "--state-retrying",
        values: rate((interval) => interval.failedAttempts),
        dash: true,
      },
    ],
    waits: quantiles("wait"),
    runs: quantiles("run"),
  };
}

function formatRate(rate: number): string {
  return rate > 0 && rate < 10 ? String(Number(rate.toFixed(1))) : formatShort(Math.round(rate));
}

/** Alerts raised and workers started within the range, oldest first. */
function useMarks({ from, to }: TimeRange): ChartMark[] {
  const alerts = useAlerts(true);
  // Rounded to whole minutes, so that the query key does not change with every render.
  const since = new Date(Math.floor(from / 60_000) * 60_000).toISOString();
  const starts = useWorkerStarts(since);
  return useMemo(
    () =>
      [
        ...(alerts.data ?? []).map(({ raisedAt: at, severity, message }) => ({
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
    [alerts.data, starts.data, from, to],
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
