/** Values over time, drawn in one color. */
export interface ChartSeries {
  label: string;
  /** A custom property of the style sheet, such as `--good`. */
  color: string;
  /** One value for each time; null where there is nothing to draw. */
  values: readonly (number | null)[];
  /** Bars are stacked and show counts for each interval; lines show measured values. Default: lines. */
  kind?: "bars" | "line";
  /** In a chart with bars, a line may have its own axis on the right. */
  axis?: "right";
  /** Less important lines are drawn dashed. */
  dash?: boolean;
}
