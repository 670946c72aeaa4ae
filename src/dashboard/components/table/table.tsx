import { ArrowDown, ArrowUp, ArrowUpDown } from "lucide-react";
import { Fragment, type ReactNode, type PointerEvent } from "react";
import { common } from "../words.ts";
import type { Column } from "./column.ts";
import { DensitySwitch } from "./density-switch.tsx";
import { type Sorting, useSorting } from "./use-sorting.ts";
import { useOverflow } from "./use-overflow.ts";
import "./table.css";

export interface TableProps<Row> {
  /** Its name for users of screen readers. */
  label: string;
  columns: readonly (Column<Row> | false)[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Whether a row is shown in gray: disabled, revoked, off. */
  isOff?: (row: Row) => boolean;
  /** What is shown below an open row; undefined while it is closed. */
  renderBelow?: (row: Row) => ReactNode;
  /** The search parameter that holds the order. Without it the order is lost when the page is left. */
  sortIn?: string;
  /** Whether its corner has the density switch: for the main table of a page. */
  corner?: boolean;
  /** Whether it has its own scrollbar, by the height that `className` gives it. */
  scrolls?: boolean;
  className?: string;
}

/**
 * Every table of the dashboard. Its head stays in view, long names are cut and shown in full on hover and while the row has focus, and where there is
 * little room, as on phones, each row becomes a card.
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

/** Sorts where the heads are hidden: in cards. */
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

/** Gives a text that is cut a tooltip with the whole text. */
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
