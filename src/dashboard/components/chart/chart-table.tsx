import { usePreferences } from "../preferences.ts";
import { formatExact } from "../time/format-times.ts";
import type { Column } from "../table/column.ts";
import { Table } from "../table/table.tsx";
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
    <>
      <Table
        label={common.chartTable(label)}
        className="time-chart-table"
        scrolls
        rows={[...times.keys()].toReversed()}
        rowKey={(row) => String(times[row])}
        columns={[
          { id: "time", head: common.time, kind: "name", render: (row) => formatExact(times[row]!, zone, { seconds: false }) },
          ...series.map(({ label: name, values }): Column<number> => ({
            id: name,
            head: name,
            kind: "number",
            render: (row) => formatValue(values[row], unit),
          })),
        ]}
      />
      {marks.length > 0 && (
        <ul className="time-chart-marks">
          {marks.map((mark) => (
            <li key={`${mark.at} ${mark.label}`}>
              {formatExact(mark.at, zone)}: {mark.label}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
