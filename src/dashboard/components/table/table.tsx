import { ArrowDown, ArrowUp, ArrowUpDown } from "lucide-react";
import { Fragment, type ReactNode, useState } from "react";
import { usePlace } from "../../router/place.ts";
import { Button } from "../button.tsx";
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

/** Tables with more rows than this show the first ones and a button for the others, because thousands of rows are slow to draw. */
const MAX_ROWS = 200;

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
  const place = usePlace<boolean>(`rows ${label}`);
  const [showsAll, setShowsAll] = useState(place.restored ?? false);
  const sorted = sorting.apply(rows);
  const shown = showsAll || sorted.length <= MAX_ROWS ? sorted : sorted.slice(0, MAX_ROWS);
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
          {shown.map((row) => {
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
      {shown.length < sorted.length && (
        <p className="table-rest">
          {common.firstRows(shown.length, sorted.length)}
          <Button
            kind="quiet"
            onClick={() => {
              setShowsAll(true);
              place.keep(true);
            }}
          >
            {common.showAllRows}
          </Button>
        </p>
      )}
    </div>
  );
}

/** What cells show if there is no value. Cards on phones leave it out. */
const NO_VALUE = "–";

function Cell<Row>({ column: { kind = "text", head, render }, row }: { column: Column<Row>; row: Row }) {
  const content = render(row);
  if (kind === "name") {
    return (
      <th scope="row" dir="auto">
        {content}
      </th>
    );
  }
  if (kind === "actions") {
    return (
      <td className="actions">
        <div>{content}</div>
      </td>
    );
  }
  return (
    <td
      className={kind === "number" ? "end" : kind}
      data-label={head}
      data-none={content === NO_VALUE}
      dir={kind === "number" ? undefined : "auto"}
    >
      <div className="cell">{content}</div>
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

/** A second, less prominent line in a cell. It is truncated if it is too long. */
export function CellDetail({ children, title }: { children: ReactNode; title?: string | undefined }) {
  return (
    <span className="cell-detail" dir="auto" title={title}>
      {children}
    </span>
  );
}
