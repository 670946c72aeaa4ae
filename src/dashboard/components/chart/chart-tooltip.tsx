import { usePreferences } from "../preferences.ts";
import { formatExact } from "../time/format-times.ts";
import type { ChartSeries } from "./chart-series.ts";
import { type ChartUnit, formatValue } from "./chart-units.ts";
import type { ChartMark } from "./draw-marks.ts";

/** The maximum number of events that are listed for one interval. */
const NAMED = 3;

/** All values and events of the interval under the cursor. Screen readers get them from the chart's own description. */
export function ChartTooltip({
  at,
  until,
  row,
  series,
  unit,
  marks,
  left,
  width,
  hint,
}: {
  /** The beginning and end of the interval (ms). */
  at: number;
  until: number;
  row: number;
  series: readonly ChartSeries[];
  unit: ChartUnit;
  marks: readonly ChartMark[];
  /** The position of the cursor, and the width of the chart (px). */
  left: number;
  width: number;
  hint: string | undefined;
}) {
  const { zone } = usePreferences();
  const here = marks.filter((mark) => mark.at >= at && mark.at < until);
  return (
    <div
      className="time-chart-tooltip"
      aria-hidden="true"
      style={left > width / 2 ? { right: `${width - left + 12}px` } : { left: `${left + 12}px` }}
    >
      <p className="muted number">{formatExact(at, zone, { seconds: false })}</p>
      {series.map(({ label, color, values, dash, kind }) => (
        <p key={label}>
          <span className="time-chart-key" data-dash={dash} data-kind={kind} style={{ borderColor: `var(${color})` }} />
          {label} <strong className="number">{formatValue(values[row], unit)}</strong>
        </p>
      ))}
      {here.slice(0, NAMED).map((mark) => (
        <p key={`${mark.at} ${mark.label}`} className="time-chart-event" style={{ color: `var(${mark.color})` }}>
          {mark.label}
        </p>
      ))}
      {hint !== undefined && <p className="muted">{hint}</p>}
    </div>
  );
}
