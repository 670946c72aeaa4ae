import { lazy, Suspense } from "react";
import type { TimeChartProps } from "./time-chart-plot.tsx";
import { Loading } from "../notice.tsx";

export type { ChartMark, ChartSeries, TimeRange } from "./time-chart-plot.tsx";

// The library that draws comes with the first chart.
const Plot = lazy(() => import("./time-chart-plot.tsx"));

/**
 * Values over time, as lines. Dragging over it chooses a range (`onRange`), and so do the arrow keys, + and - while it has the focus; a double click or Escape takes it back. What it
 * shows is also a table, for whoever wants or needs one. Colours are names of the style sheet's custom properties.
 */
export function TimeChart(props: TimeChartProps) {
  return (
    <Suspense
      fallback={
        <div style={{ minHeight: (props.height ?? 180) + 60 }}>
          <Loading rows={3} label={`Loading ${props.label}`} />
        </div>
      }
    >
      <Plot {...props} />
    </Suspense>
  );
}
