import { lazy, Suspense } from "react";
import type { TimeChartProps } from "./time-chart-plot.tsx";
import { Loading } from "../notice.tsx";
import { common } from "../words.ts";

export type { ChartMark } from "./draw-marks.ts";
export type { ChartSeries } from "./chart-series.ts";
export type { TimeRange } from "./time-chart-plot.tsx";

// The drawing library is loaded with the first chart.
const Plot = lazy(() => import("./time-chart-plot.tsx"));

/**
 * Values over time, as stacked bars and lines. Dragging across the chart, or pressing + or - while it has focus, selects a range (`onRange`); a
 * double-click or Escape resets the range. A click or Enter picks an interval (`onPick`). The same values are available as a table. Colors are names
 * of custom properties in the style sheet.
 */
export function TimeChart(props: TimeChartProps) {
  return (
    <Suspense
      fallback={
        <div style={{ minHeight: (props.height ?? 180) + 60 }}>
          <Loading rows={3} label={common.loadingOf(props.label)} />
        </div>
      }
    >
      <Plot {...props} />
    </Suspense>
  );
}
