import { ArrowDown, ArrowUp, ArrowUpDown } from "lucide-react";
import { Fragment, type ReactNode, type PointerEvent } from "react";
import { common } from "../words.ts";
import type { Column } from "./column.ts";
import { DensitySwitch } from "./density-switch.tsx";
import { type Sorting, useSorting } from "./use-sorting.ts";
import { useOverflow } from "./use-overflow.ts";
import "./table.css";

export interface TableProps<Row> {
  /** The name of the table for screen readers. */
  label: string;
  columns: readonly (Column<Row> | false)[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Whether a row is shown in gray: disabled, revoked, off. */
  isOff?: (row: Row) => boolean;
  /** Renders the content below an expanded row; returns undefined while the row is collapsed. */
  renderBelow?: (row: Row) => ReactNode;
  /** The search parameter that stores the sort order. Without it, the order is lost when the user leaves the page. */
  sortIn?: string;
  /** Whether the density switch is in the corner of the table: for the main table of a page. */
  corner?: boolean;
  /** Whether the table has its own scrollbar. `className` then sets its height. */
  scrolls?: boolean;
  className?: string;
}

/**
 * The component for all tables in the dashboard. Its header stays in view. Long names are truncated, and shown in full on hover and while the row has
 * the focus. On narrow screens such as phones, each row becomes a card.
 */
export function Table<Row>({
  label,
  columns: given,
  rows,
  rowKey,
  isOff,
  renderBelow,
  sortIn,
  corner = false,
  scrolls = false,
  className = "",
}: TableProps<Row>) {
  const columns = given.filter((column) => column !== false);
  const sorting = useSorting(columns, sortIn);
  const { ref, isWide } = useOverflow();
  return (
    <div
      ref={ref}
      className={`table-scroll ${className}`}
      role="region"
      aria-label={label}
      data-wide={isWide}
      data-corner={corner}
      // A region that scrolls must be reachable by keyboard.
      tabIndex={isWide || scrolls ? 0 : undefined}
      onPointerOver={showWhole}
    >
      <SortSelect columns={columns} sorting={sorting} />
      {corner && <DensitySwitch />}
      <table className="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.id} column={column} sorting={sorting} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorting.apply(rows).map((row) => {
            const detail = renderBelow?.(row);
            return (
              <Fragment key={rowKey(row)}>
                <tr data-off={isOff?.(row)}>
                  {columns.map((column) => (
                    <Cell key={column.id} column={column} row={row} />
                  ))}
                </tr>
                {detail !== undefined && (
                  <tr className="table-below">
                    <td colSpan={columns.length}>{detail}</td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Cell<Row>({ column: { kind = "text", head, render }, row }: { column: Column<Row>; row: Row }) {
  if (kind === "name") {
    return (
      <th scope="row" dir="auto">
        {render(row)}
      </th>
    );
  }
  if (kind === "actions") {
    return (
      <td className="actions">
        <div>{render(row)}</div>
      </td>
    );
  }
  return (
    <td className={kind === "number" ? "end" : kind} data-label={head} dir={kind === "number" ? undefined : "auto"}>
      <div className="cell">{render(row)}</div>
    </td>
  );
}

function Head<Row>({ column, sorting }: { column: Column<Row>; sorting: Sorting<Row> }) {
  const { id, head, hint, kind, sort } = column;
  const direction = sorting.by === id ? (sorting.isDescending ? "descending" : "ascending") : undefined;
  const Icon = direction === undefined ? ArrowUpDown : direction === "ascending" ? ArrowUp : ArrowDown;
  return (
    <th scope="col" className={kind === "number" ? "end" : undefined} title={hint} aria-sort={direction}>
      {kind === "actions" ? (
        <span className="visually-hidden">{head}</span>
      ) : sort === undefined ? (
        head
      ) : (
        <button type="button" className="table-sort" onClick={() => sorting.toggle(column)}>
          {head}
          <Icon aria-hidden="true" />
        </button>
      )}
      {hint !== undefined && <span className="visually-hidden"> ({hint})</span>}
    </th>
  );
}

/** A list for choosing the sort order where rows are cards and the column headers are hidden. */
function SortSelect<Row>({ columns, sorting }: { columns: readonly Column<Row>[]; sorting: Sorting<Row> }) {
  const sortable = columns.filter(({ sort }) => sort !== undefined);
  if (sortable.length === 0) return null;
  return (
    <label className="table-sort-select">
      {common.sortBy}
      <select
        value={sorting.by ?? ""}
        onChange={({ target }) => sorting.toggle(sortable.find(({ id }) => id === target.value) ?? sortable[0]!)}
      >
        {sorting.by === undefined && <option value="">–</option>}
        {sortable.map(({ id, head }) => (
          <option key={id} value={id}>
            {head}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Adds a tooltip with the full text to a truncated cell. */
function showWhole({ target }: PointerEvent): void {
  const cut = (target as Element).closest<HTMLElement>(".cell-detail, .table :is(th, td)");
  if (cut === null || cut.title !== "" || cut.scrollWidth <= cut.clientWidth) return;
  cut.title = cut.innerText;
}

/** A second, less prominent line in a cell. It is truncated if it is too long. */
export function CellDetail({ children, title }: { children: ReactNode; title?: string | undefined }) {
  return (
    <span className="cell-detail" dir="auto" title={title}>
      {children}
    </span>
  );
}
