import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { usePreferences } from "../preferences.ts";
import { formatExact } from "../time/format-times.ts";
import { common } from "../words.ts";
import { ChartTable } from "./chart-table.tsx";
import { ChartTooltip } from "./chart-tooltip.tsx";
import type { ChartSeries } from "./chart-series.ts";
import { type ChartUnit, COUNT_STEPS, formatTick, formatValue, logLines, logRange, SHORTEST } from "./chart-units.ts";
import { type ChartMark, drawMarks } from "./draw-marks.ts";
import { resolveColor } from "./resolve-color.ts";
import "./time-chart.css";

/** A range of time (ms since 1970). */
export interface TimeRange {
  from: number;
  to: number;
}

export interface TimeChartProps {
  /** The name of the chart for screen readers. */
  label: string;
  /** The beginnings of the intervals: milliseconds since 1970, ascending. */
  times: readonly number[];
  /** The length of an interval (ms). */
  interval: number;
  series: readonly ChartSeries[];
  /** Durations have a logarithmic axis, because one chart may contain waits of milliseconds and waits of hours. */
  unit: ChartUnit;
  /** The range of the time axis, which may be wider than the values. Default: from the first to the last time. */
  range?: TimeRange;
  marks?: readonly ChartMark[];
  height?: number;
  /** Called with the range that the user selected, or with undefined when the range is reset. Without this function, no range can be selected. */
  onRange?: (range: TimeRange | undefined) => void;
  /** Called with the interval that the user clicked. `pickHint` describes what a click does. */
  onPick?: (range: TimeRange) => void;
  pickHint?: string;
  /** Charts with the same key share their cursor. */
  sync?: string;
}

const NO_MARKS: readonly ChartMark[] = [];

export default function TimeChartPlot({
  label,
  times,
  interval,
  series,
  unit,
  range,
  marks = NO_MARKS,
  height = 180,
  onRange,
  onPick,
  pickHint,
  sync,
}: TimeChartProps) {
  const { theme, zone } = usePreferences();
  const isDark = useDark();
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [cursor, setCursor] = useState<{ index: number; left: number; width: number }>();
  const [isTable, setTable] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const drawn = useMemo(() => inDrawOrder(series.filter(({ label: name }) => !hidden.has(name))), [series, hidden]);
  const data = useMemo(() => toData(times, drawn, unit), [times, drawn, unit]);
  // Drawing reads these values from a ref, so that new data does not recreate the chart.
  const now = useRef({ range, marks, onRange, onPick, times, interval, data });
  useLayoutEffect(() => {
    now.current = { range, marks, onRange, onPick, times, interval, data };
  });
  const shape = JSON.stringify(drawn.map(({ label: name, color, dash, kind, axis }) => ({ name, color, dash, kind, axis })));

  useLayoutEffect(() => {
    const element = holder.current;
    if (element === null) return undefined;
    const shapes = JSON.parse(shape) as Shape[];
    const muted = resolveColor(element, "--text-muted");
    const line = resolveColor(element, "--line");
    const axis = { stroke: muted, ticks: { show: false }, font: "11px system-ui" };
    const counts = { ...axis, incrs: [...COUNT_STEPS], size: 46, space: 30, values: ticks("count") };
    const hasRight = shapes.some(({ axis: side }) => side === "right");
    const chart = new uPlot(
      {
        width: Math.max(1, element.clientWidth),
        height,
        ...(zone === "utc" ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC") } : {}),
        padding: [8, hasRight ? 0 : 8, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: now.current.onRange !== undefined, y: false, setScale: false },
          points: { size: 7 },
          // Selects the interval under the cursor, not the one whose start is nearest.
          dataIdx: (self, _series, _index, at) => indexAt(self.data[0], at),
          ...(sync === undefined ? {} : { sync: { key: sync } }),
        },
        scales: {
          x: {
            range: (_chart, min, max) => {
              const { range: wanted, interval: length } = now.current;
              if (wanted !== undefined) return [wanted.from / 1_000, wanted.to / 1_000];
              return min === null || max === null ? [0, 1] : [min, max + length / 1_000];
            },
          },
          y:
            unit === "duration"
              ? {
                  distr: 3,
                  range: () => logRange(now.current.data.slice(1)),
                }
              : { range: (_chart, _min, max) => [0, Math.max(1, (max ?? 0) * 1.08)] },
          right: { range: (_chart, _min, max) => [0, Math.max(1, (max ?? 0) * 1.08)] },
        },
        axes: [
          {
            ...axis,
            grid: { stroke: line, width: 1 },
            space: 70,
            size: 26,
            values: (_chart, splits) => timeLabels(splits, zone),
          },
          unit === "duration"
            ? {
                ...axis,
                grid: { stroke: line, width: 1 },
                size: 54,
                splits: (_chart, _axis, from, to) => logLines(from, to),
                filter: (_chart, splits) => splits,
                values: ticks("duration"),
              }
            : { ...counts, grid: { stroke: line, width: 1 } },
          ...(hasRight ? [{ ...counts, scale: "right", side: 1, grid: { show: false } }] : []),
        ],
        series: [{}, ...shapes.map((of) => toSeries(of, element))],
        hooks: {
          setCursor: [
            (self) => {
              const { idx, left } = self.cursor;
              setCursor(
                idx === null || idx === undefined || left === undefined || left < 0
                  ? undefined
                  : { index: idx, left: left + self.bbox.left / uPlot.pxRatio, width: self.width },
              );
            },
          ],
          setSelect: [
            (self) => {
              if (self.select.width < 8) return;
              const from = Math.round(self.posToVal(self.select.left, "x") * 1_000);
              const to = Math.round(self.posToVal(self.select.left + self.select.width, "x") * 1_000);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              now.current.onRange?.({ from, to });
            },
          ],
          draw: [(self) => drawMarks(self, element, now.current.marks, uPlot.pxRatio)],
        },
      },
      now.current.data,
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: Math.max(1, element.clientWidth), height }));
    observer.observe(element);
    chart.over.addEventListener("dblclick", () => now.current.onRange?.(undefined));
    // A drag also ends with a click event, but at a different position from where it began.
    let pressed = Number.NaN;
    chart.over.addEventListener("mousedown", ({ clientX }) => (pressed = clientX));
    chart.over.addEventListener("click", ({ clientX }) => {
      if (Math.abs(clientX - pressed) > 4) return;
      pick(indexAt(chart.data[0], chart.posToVal(clientX - chart.over.getBoundingClientRect().left, "x")), now.current);
    });
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = undefined;
    };
  }, [shape, theme, isDark, zone, height, sync, unit]);

  useEffect(() => plot.current?.setData(data), [data, range?.from, range?.to]);
  const marksKey = marks.map(({ at }) => at).join();
  useEffect(() => plot.current?.redraw(false, false), [marksKey]);

  const index = cursor !== undefined && cursor.index < times.length ? cursor.index : undefined;
  return (
    <figure className="time-chart" aria-label={label}>
      <div className="time-chart-legend">
        {series.map(({ label: name, color, dash, kind }) => (
          <button
            key={name}
            type="button"
            aria-pressed={!hidden.has(name)}
            onClick={() =>
              setHidden((old) => (old.has(name) ? new Set([...old].filter((each) => each !== name)) : new Set([...old, name])))
            }
          >
            <span
              className="time-chart-key"
              data-dash={dash}
              data-kind={kind}
              style={{ borderColor: `var(${color})` }}
              aria-hidden="true"
            />
            {name}
          </button>
        ))}
      </div>
      <div className="time-chart-area">
        <div
          ref={holder}
          className="time-chart-plot"
          data-picks={onPick !== undefined}
          role="slider"
          tabIndex={0}
          aria-label={onRange === undefined ? common.chartSlider(label) : common.chartZoomSlider(label)}
          aria-valuemin={0}
          aria-valuemax={Math.max(0, times.length - 1)}
          aria-valuenow={index ?? Math.max(0, times.length - 1)}
          aria-valuetext={inWords(index ?? times.length - 1, { times, series, unit, zone })}
          style={{ minHeight: height }}
          onKeyDown={(event) => {
            if (press(event.key, index, plot.current, now.current)) event.preventDefault();
          }}
          onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
        />
        {index !== undefined && cursor !== undefined && (
          <ChartTooltip
            at={times[index]!}
            until={times[index]! + interval}
            row={index}
            series={series}
            unit={unit}
            marks={marks}
            left={cursor.left}
            width={cursor.width}
            hint={onPick === undefined ? undefined : pickHint}
          />
        )}
      </div>
      <div className="time-chart-foot">
        <button type="button" className="time-chart-toggle" aria-expanded={isTable} onClick={() => setTable(!isTable)}>
          {isTable ? common.hideData : common.showData}
        </button>
      </div>
      {isTable && <ChartTable label={label} times={times} series={series} unit={unit} marks={marks} />}
    </figure>
  );
}

type Shape = Pick<ChartSeries, "color" | "dash" | "kind" | "axis"> & { name: string };

/** Sorts the series in drawing order: bars from the top of the stack to the bottom, so that lower bars cover higher ones, then lines. */
function inDrawOrder(series: readonly ChartSeries[]): ChartSeries[] {
  return [...series.filter(({ kind }) => kind === "bars").toReversed(), ...series.filter(({ kind }) => kind !== "bars")];
}

/** The data to draw. The value of each bar in a stack includes the bars that are drawn after it. */
function toData(times: readonly number[], drawn: readonly ChartSeries[], unit: ChartUnit): uPlot.AlignedData {
  const below = times.map(() => 0);
  const stacked = new Map(
    drawn
      .filter(({ kind }) => kind === "bars")
      .toReversed()
      .map((of) => [of, of.values.map((value, at) => (below[at]! += value ?? 0))] as const),
  );
  const shown = (value: number | null): number | null => (value === null || unit === "count" ? value : Math.max(SHORTEST, value));
  return [times.map((at) => at / 1_000), ...drawn.map((of) => stacked.get(of) ?? of.values.map(shown))] as uPlot.AlignedData;
}

function toSeries({ name, color, dash, kind, axis }: Shape, element: HTMLElement): uPlot.Series {
  const stroke = resolveColor(element, color);
  const scale = axis === "right" ? "right" : "y";
  if (kind === "bars") {
    return {
      label: name,
      scale,
      stroke,
      fill: stroke,
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars!({ size: [0.85, 40], align: 1 }),
    };
  }
  return {
    label: name,
    scale,
    stroke,
    width: 1.75,
    dash: dash === true ? [5, 4] : [],
    // A single value would not be visible as a line.
    points: { show: true, size: 4, filter: (self, of) => alone(self.data[of] as (number | null)[]) },
  };
}

function ticks(unit: ChartUnit): uPlot.Axis.Values {
  return (_chart, values) => values.map((value) => (value === null ? "" : formatTick(value, unit)));
}

/** The index of the last interval that begins at or before a time; 0 for an earlier time. */
function indexAt(times: ArrayLike<number>, at: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle]! <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The indexes of values without neighbors. */
function alone(values: readonly (number | null)[]): number[] {
  return [...values.keys()].filter(
    (at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null,
  );
}

function inWords(
  at: number,
  { times, series, unit, zone }: Pick<TimeChartProps, "times" | "series" | "unit"> & { zone: "local" | "utc" },
): string {
  const time = times[at];
  if (time === undefined) return common.noValues;
  const values = series.map(({ label, values: all }) => `${label} ${formatValue(all[at], unit)}`).join(", ");
  return `${formatExact(time, zone, { seconds: false })}: ${values}`;
}

/** The labels of the grid lines: the date at midnight and at the first grid line of a new day, otherwise the time. */
function timeLabels(splits: readonly number[], zone: "local" | "utc"): string[] {
  const timeZone = zone === "utc" ? "UTC" : undefined;
  const time = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { timeZone, day: "numeric", month: "short" });
  return splits.map((split, at) => {
    const label = time.format(split * 1_000);
    const isNew = at > 0 && day.format(split * 1_000) !== day.format(splits[at - 1]! * 1_000);
    return isNew || label === "00:00" ? day.format(split * 1_000) : label;
  });
}

type Now = Pick<TimeChartProps, "times" | "interval" | "range" | "onRange" | "onPick">;

function pick(index: number | undefined, { times, interval, onPick }: Now): boolean {
  const from = index === undefined ? undefined : times[index];
  if (from === undefined || onPick === undefined) return false;
  onPick({ from, to: from + interval });
  return true;
}

/** Handles a key: moves the cursor, changes the range or picks an interval. Returns whether the key was handled. */
function press(key: string, index: number | undefined, chart: uPlot | undefined, now: Now): boolean {
  const { times, interval, range, onRange } = now;
  if (chart === undefined || times.length === 0) return false;
  const last = times.length - 1;
  const moves: Record<string, number> = { ArrowLeft: (index ?? last + 1) - 1, ArrowRight: (index ?? -1) + 1, Home: 0, End: last };
  const to = moves[key];
  if (to !== undefined) {
    const at = Math.min(last, Math.max(0, to));
    chart.setCursor({ left: chart.valToPos((times[at]! + interval / 2) / 1_000, "x"), top: 0 });
    return true;
  }
  if (key === "Enter") return pick(index, now);
  if (key === "Escape" && onRange !== undefined) {
    onRange(undefined);
    return true;
  }
  if (onRange !== undefined && (key === "+" || key === "=" || key === "-")) {
    const { from, to: end } = range ?? { from: times[0]!, to: times[last]! };
    const center = index === undefined ? (from + end) / 2 : times[index]!;
    const half = ((end - from) / 2) * (key === "-" ? 2 : 0.5);
    onRange({ from: Math.round(center - half), to: Math.round(center + half) });
    return true;
  }
  return false;
}

function useDark(): boolean {
  const query = "(prefers-color-scheme: dark)";
  const [isDark, setDark] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const change = (): void => setDark(media.matches);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, []);
  return isDark;
}
