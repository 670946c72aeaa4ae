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

const PERIODS = { "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 } as const;
type Period = keyof typeof PERIODS;

const NAMES: Readonly<Record<Period, string>> = {
  "1h": "1 hour",
  "6h": "6 hours",
  "24h": "24 hours",
  "7d": "7 days",
  "30d": "30 days",
};

/** The shortest time that can be chosen (ms): less than three minutes is no line. */
const SHORTEST_MS = 180_000;

/** What the address says: a period up to now, or a part of time that was chosen. */
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

/** What ended and failed, and how long jobs waited and ran, with what happened at that time: of all tasks, or of one. */
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
      title="Lately"
      className="charts"
      actions={
        <div className="tool-bar" role="group" aria-label="Time shown">
          {zoom !== undefined && (
            <>
              <span className="muted">
                <ExactTime at={new Date(zoom.from).toISOString()} /> to <ExactTime at={new Date(zoom.to).toISOString()} />
              </span>
              <Button icon={<ZoomOut aria-hidden="true" />} onClick={() => onRange(undefined)}>
                Back to {NAMES[period]}
              </Button>
            </>
          )}
          {zoom === undefined &&
            (Object.keys(PERIODS) as Period[]).map((each) => (
              <Button
                key={each}
                kind="quiet"
                aria-pressed={each === period}
                title={`The last ${NAMES[each]}`}
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
            <Empty title="Nothing was counted in this time.">Jobs are counted within some seconds of their end.</Empty>
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
        <section aria-label="Throughput" className="charts-wide">
          <h3>Jobs a minute</h3>
          <TimeChart {...common} label="Jobs a minute" series={drawn.throughput} format={formatRate} height={190} />
        </section>
        <section aria-label="Waiting times">
          <h3>How long jobs waited</h3>
          <TimeChart {...common} label="How long jobs waited" series={drawn.waits} format={formatDuration} height={150} />
        </section>
        <section aria-label="Running times">
          <h3>How long attempts ran</h3>
          <TimeChart {...common} label="How long attempts ran" series={drawn.runs} format={formatDuration} height={150} />
        </section>
      </div>
      <Marks marks={marks} step={intervals[0]?.seconds} />
    </>
  );
}

/** What is not whole yet is left out: it would look like a fall. */
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
    { label: "p50", color: "--accent", values: whole.map((interval) => interval[`${kind}P50`]) },
    { label: "p95", color: "--state-scheduled", values: whole.map((interval) => interval[`${kind}P95`]) },
    { label: "p99", color: "--state-retrying", values: whole.map((interval) => interval[`${kind}P99`]), dash: true },
  ];
  return {
    times: whole.map(({ at }) => Date.parse(at)),
    throughput: [
      { label: "completed", color: "--good", values: rate(({ completed }) => completed), fill: true },
      { label: "failed", color: "--bad", values: rate(({ failed }) => failed) },
      {
        label: "attempts that failed",
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

/** Alerts that were raised and workers that started in that time, oldest first. */
function useMarks({ from, to }: TimeRange): ChartMark[] {
  const alerts = useAlerts(true);
  // By whole minutes, so that not every look is another question.
  const since = new Date(Math.floor(from / 60_000) * 60_000).toISOString();
  const starts = useWorkerStarts(since);
  return useMemo(
    () =>
      [
        ...(alerts.data ?? []).map(({ raisedAt: at, severity, message }) => ({
          at: Date.parse(at),
          label: `Alert: ${message}`,
          color: severity === "critical" ? "--bad" : "--warn",
        })),
        ...(starts.data ?? []).map(({ startedAt: at, host, workers }) => ({
          at: Date.parse(at),
          label: workers === "1" ? `A worker started on ${host}` : `${workers} workers started on ${host}`,
          color: "--state-running",
        })),
      ]
        .filter(({ at }) => at >= from && at <= to)
        .toSorted((a, b) => a.at - b.at),
    [alerts.data, starts.data, from, to],
  );
}

/** Marks that are written out below the charts, the newest of them. */
const WRITTEN = 5;

function Marks({ marks, step }: { marks: readonly ChartMark[]; step: number | undefined }) {
  const { zone } = usePreferences();
  return (
    <div className="charts-marks">
      <p className="muted">
        Each point is {formatDuration(step)}. Drag over a chart to look closer.
        {marks.length === 0 ? " No alert was raised and no worker started in this time." : " Marked:"}
      </p>
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
          {marks.length > WRITTEN && (
            <li className="muted charts-marks-rest">and {marks.length - WRITTEN} before, in the tables.</li>
          )}
        </ul>
      )}
    </div>
  );
}
