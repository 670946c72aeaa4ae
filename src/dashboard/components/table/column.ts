import type { ReactNode } from "react";

export interface Column<Row> {
  /** Names the column in the URL when the table is sorted by it. */
  id: string;
  head: string;
  /** The meaning of the column, as a tooltip and for screen readers. */
  hint?: string;
  /**
   * `name` identifies the row: it is the row header and the only bold column. `number` is aligned at the end. `long` is prose on several lines.
   * `actions` holds buttons, and its header is only for screen readers. Default: `text`, on one line.
   */
  kind?: "name" | "text" | "number" | "long" | "actions";
  render: (row: Row) => ReactNode;
  /** Returns the value to sort by; null comes last in both directions. Without this function, the column cannot be sorted. */
  sort?: (row: Row) => string | number | null | undefined;
}
