import { usePreferences } from "../preferences.ts";
import { formatExact } from "../time/format-times.ts";
import { common } from "../words.ts";
import type { ChartSeries } from "./chart-series.ts";
import { type ChartUnit, formatValue } from "./chart-units.ts";
import type { ChartMark } from "./draw-marks.ts";

/** The numbers of a chart as a table, newest first. */
export function ChartTable({
  label,
  times,
  series,
  unit,
  marks,
}: {
  label: string;
  times: readonly number[];
  series: readonly ChartSeries[];
  unit: ChartUnit;
  marks: readonly ChartMark[];
}) {
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
                    {formatValue(values[row], unit)}
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
