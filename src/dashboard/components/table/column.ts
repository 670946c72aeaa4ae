import type { ReactNode } from "react";

export interface Column<Row> {
  /** Names the column in the address when the table is sorted by it. */
  id: string;
  head: string;
  /** What the column means, as a tooltip and for screen readers. */
  hint?: string;
  /**
   * `name` identifies the row: its header, and the only bold column. `number` is aligned at the end. `long` is prose on several lines. `actions` holds
   * buttons; its head is only for screen readers. Default: `text`, on one line.
   */
  kind?: "name" | "text" | "number" | "long" | "actions";
  render: (row: Row) => ReactNode;
  /** The value to sort by; null comes last in both directions. Without it the column cannot be sorted. */
  sort?: (row: Row) => string | number | null | undefined;
}
