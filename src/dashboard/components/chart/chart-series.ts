/** Values over time, drawn in one color. */
export interface ChartSeries {
  label: string;
  /** A custom property of the style sheet, such as `--good`. */
  color: string;
  /** One value for each time; null where there is nothing to draw. */
  values: readonly (number | null)[];
  /** Bars are for what was counted in each interval and are stacked; lines are for what was measured. Lines by default. */
  kind?: "bars" | "line";
  /** Lines next to bars may have an axis of their own, on the right. */
  axis?: "right";
  /** Less important lines are drawn dashed. */
  dash?: boolean;
}
