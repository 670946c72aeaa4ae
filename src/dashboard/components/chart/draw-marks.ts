import type uPlot from "uplot";
import { resolveColor } from "./resolve-color.ts";

/** An event: a line across the chart at its time, named in the tooltip and below the chart. */
export interface ChartMark {
  /** Milliseconds since 1970. */
  at: number;
  label: string;
  /** A custom property of the style sheet. */
  color: string;
}

/** Draws events as dashed lines with a triangle at the top. */
export function drawMarks(chart: uPlot, element: HTMLElement, marks: readonly ChartMark[], ratio: number): void {
  const { ctx, bbox } = chart;
  for (const { at, color } of marks) {
    const left = chart.valToPos(at / 1_000, "x", true);
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.strokeStyle = resolveColor(element, color);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(left - 4 * ratio, bbox.top);
    ctx.lineTo(left + 4 * ratio, bbox.top);
    ctx.lineTo(left, bbox.top + 6 * ratio);
    ctx.fill();
    ctx.restore();
  }
}
