import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { usePreferences } from "../preferences.ts";
import { formatExact } from "../time/format-times.ts";
import { common } from "../words.ts";
import "./time-chart.css";

/** From and to, in milliseconds since 1970. */
export interface TimeRange {
  from: number;
  to: number;
}

export interface ChartSeries {
  label: string;
  /** A custom property of the style sheet, such as `--good`. */
  color: string;
  /** One value for each time; null where there is nothing to draw. */
  values: readonly (number | null)[];
  /** Less important lines are drawn dashed. */
  dash?: boolean;
  /** The area below it is tinted. */
  fill?: boolean;
}

/** An event: a line across the chart at its time, named in the text below. */
export interface ChartMark {
  at: number;
  label: string;
  color: string;
}

export interface TimeChartProps {
  /** Its name for users of screen readers. */
  label: string;
  /** Milliseconds since 1970, ascending. */
  times: readonly number[];
  series: readonly ChartSeries[];
  format: (value: number) => string;
  /** The range of the time axis, which may be wider than the values. Default: from the first to the last time. */
  range?: TimeRange;
  marks?: readonly ChartMark[];
  height?: number;
  /** Called with the range that the user selected; undefined resets it. Without it no range can be selected. */
  onRange?: (range: TimeRange | undefined) => void;
  /** Charts with the same key share their cursor. */
  sync?: string;
}

const NO_MARKS: readonly ChartMark[] = [];

/** The color of a custom property: canvases do not support light-dark(). */
function resolve(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

export default function TimeChartPlot({
  label,
  times,
  series,
  format,
  range,
  marks = NO_MARKS,
  height = 180,
  onRange,
  sync,
}: TimeChartProps) {
  const { theme, zone } = usePreferences();
  const isDark = useDark();
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  // Read while drawing, so that the chart is not recreated for every response.
  const now = useRef({ range, marks, format, onRange, times });
  const [index, setIndex] = useState<number | null>(null);
  const [isTable, setTable] = useState(false);

  const data = useMemo(
    () => [times.map((at) => at / 1_000), ...series.map(({ values }) => values)] as uPlot.AlignedData,
    [times, series],
  );
  const latest = useRef(data);
  useLayoutEffect(() => {
    now.current = { range, marks, format, onRange, times };
    latest.current = data;
  });
  const shape = JSON.stringify(series.map(({ label: name, color, dash, fill }) => [name, color, dash ?? false, fill ?? false]));

  useLayoutEffect(() => {
    const element = holder.current;
    if (element === null) return undefined;
    const shapes = JSON.parse(shape) as [string, string, boolean, boolean][];
    const muted = resolve(element, "--text-muted");
    const line = resolve(element, "--line");
    const chart = new uPlot(
      {
        width: Math.max(1, element.clientWidth),
        height,
        ...(zone === "utc" ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC") } : {}),
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: now.current.onRange !== undefined, y: false, setScale: false },
          points: { size: 7 },
          ...(sync === undefined ? {} : { sync: { key: sync } }),
        },
        scales: {
          x: {
            range: (_chart, min, max) => {
              const { range: wanted } = now.current;
              if (wanted !== undefined) return [wanted.from / 1_000, wanted.to / 1_000];
              return min === null || max === null ? [0, 1] : min === max ? [min - 30, max + 30] : [min, max];
            },
          },
          y: { range: (_chart, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.08] },
        },
        axes: [
          {
            stroke: muted,
            grid: { stroke: line, width: 1 },
            ticks: { show: false },
            font: "11px system-ui",
            space: 70,
            size: 26,
            values: (_chart, splits) => timeLabels(splits, zone),
          },
          {
            stroke: muted,
            grid: { stroke: line, width: 1 },
            ticks: { show: false },
            font: "11px system-ui",
            size: 62,
            space: 34,
            values: (_chart, values) => values.map((value) => now.current.format(value)),
          },
        ],
        series: [
          {},
          ...shapes.map(([name, color, isDashed, isFilled]): uPlot.Series => {
            const stroke = resolve(element, color);
            return {
              label: name,
              stroke,
              width: 1.75,
              dash: isDashed ? [5, 4] : [],
              fill: isFilled ? stroke.replace(/^rgb\((.+)\)$/, "rgba($1, 0.12)") : "transparent",
              // A single value would not be visible as a line.
              points: { show: true, size: 4, filter: (_chart, of) => alone(latest.current[of] as (number | null)[]) },
            };
          }),
        ],
        hooks: {
          setCursor: [(self) => setIndex(self.cursor.idx ?? null)],
          setSelect: [
            (self) => {
              if (self.select.width < 8) return;
              const from = Math.round(self.posToVal(self.select.left, "x") * 1_000);
              const to = Math.round(self.posToVal(self.select.left + self.select.width, "x") * 1_000);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              now.current.onRange?.({ from, to });
            },
          ],
          draw: [(self) => drawMarks(self, element, now.current.marks)],
        },
      },
      latest.current,
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: Math.max(1, element.clientWidth), height }));
    observer.observe(element);
    const reset = (): void => now.current.onRange?.(undefined);
    chart.over.addEventListener("dblclick", reset);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = undefined;
    };
  }, [shape, theme, isDark, zone, height, sync]);

  useEffect(() => plot.current?.setData(data), [data, range?.from, range?.to]);
  const marksKey = marks.map(({ at }) => at).join();
  useEffect(() => plot.current?.redraw(false, false), [marksKey]);

  const shown = index !== null && index < times.length ? index : undefined;
  function sentence(at: number): string {
    const time = times[at];
    if (time === undefined) return common.noValues;
    return `${formatExact(time, zone, { seconds: false })}: ${series.map(({ label: name, values }) => `${name} ${text(values[at], format)}`).join(", ")}`;
  }
  return (
    <figure className="time-chart" aria-label={label}>
      <div className="time-chart-legend">
        {series.map(({ label: name, color, values, dash }) => (
          <span key={name}>
            <span className="time-chart-key" data-dash={dash} style={{ borderColor: `var(${color})` }} aria-hidden="true" />
            {name} <strong className="number">{text(values[shown ?? lastWith(values)], format)}</strong>
          </span>
        ))}
      </div>
      <div
        ref={holder}
        className="time-chart-plot"
        role="slider"
        tabIndex={0}
        aria-label={onRange === undefined ? common.chartSlider(label) : common.chartZoomSlider(label)}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, times.length - 1)}
        aria-valuenow={shown ?? Math.max(0, times.length - 1)}
        aria-valuetext={sentence(shown ?? times.length - 1)}
        style={{ minHeight: height }}
        onKeyDown={(event) => {
          if (press(event.key, index, plot.current, now.current)) event.preventDefault();
        }}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
      />
      <div className="time-chart-foot">
        <button type="button" className="time-chart-toggle" aria-expanded={isTable} onClick={() => setTable(!isTable)}>
          {isTable ? common.hideData : common.showData}
        </button>
        {shown !== undefined && <span className="muted number">{formatExact(times[shown]!, zone, { seconds: false })}</span>}
      </div>
      {isTable && <ChartTable label={label} times={times} series={series} format={format} marks={marks} />}
    </figure>
  );
}

/** The same numbers as a table, newest first. */
function ChartTable({
  label,
  times,
  series,
  format,
  marks,
}: Required<Pick<TimeChartProps, "label" | "times" | "series" | "format" | "marks">>) {
  const { zone } = usePreferences();
  return (
    <div className="table-scroll time-chart-table" tabIndex={0} role="region" aria-label={common.chartTable(label)}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{common.time}</th>
            {series.map(({ label: name }) => (
              <th key={name} scope="col" className="end">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times
            .map((at, row) => (
              <tr key={at}>
                <th scope="row">{formatExact(at, zone, { seconds: false })}</th>
                {series.map(({ label: name, values }) => (
                  <td key={name} className="end">
                    {text(values[row], format)}
                  </td>
                ))}
              </tr>
            ))
            .toReversed()}
        </tbody>
      </table>
      {marks.length > 0 && (
        <ul className="time-chart-marks">
          {marks.map((mark) => (
            <li key={`${mark.at} ${mark.label}`}>
              {formatExact(mark.at, zone)}: {mark.label}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function text(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

function lastWith(values: readonly (number | null)[]): number {
  return values.findLastIndex((value) => value !== null);
}

/** The indexes of values without neighbors. */
function alone(values: readonly (number | null)[]): number[] {
  return [...values.keys()].filter(
    (at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null,
  );
}

/** The time of each grid line; the date instead at midnight and where a new day begins. */
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

function drawMarks(chart: uPlot, element: HTMLElement, marks: readonly ChartMark[]): void {
  const { ctx, bbox } = chart;
  for (const { at, color } of marks) {
    const left = chart.valToPos(at / 1_000, "x", true);
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.strokeStyle = resolve(element, color);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([3 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(left - 4 * uPlot.pxRatio, bbox.top);
    ctx.lineTo(left + 4 * uPlot.pxRatio, bbox.top);
    ctx.lineTo(left, bbox.top + 6 * uPlot.pxRatio);
    ctx.fill();
    ctx.restore();
  }
}

/** Moves the cursor and the range by keyboard; returns whether it handled the key. */
function press(
  key: string,
  index: number | null,
  chart: uPlot | undefined,
  { times, range, onRange }: Pick<TimeChartProps, "times" | "range" | "onRange">,
): boolean {
  if (chart === undefined || times.length === 0) return false;
  const last = times.length - 1;
  const moves: Record<string, number> = { ArrowLeft: (index ?? last + 1) - 1, ArrowRight: (index ?? -1) + 1, Home: 0, End: last };
  const to = moves[key];
  if (to !== undefined) {
    const at = Math.min(last, Math.max(0, to));
    chart.setCursor({ left: chart.valToPos(times[at]! / 1_000, "x"), top: 0 });
    return true;
  }
  if (key === "Escape" && onRange !== undefined) {
    onRange(undefined);
    return true;
  }
  if (onRange !== undefined && (key === "+" || key === "=" || key === "-")) {
    const { from, to: end } = range ?? { from: times[0]!, to: times[last]! };
    const centre = index === null ? (from + end) / 2 : times[index]!;
    const half = ((end - from) / 2) * (key === "-" ? 2 : 0.5);
    onRange({ from: Math.round(centre - half), to: Math.round(centre + half) });
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
