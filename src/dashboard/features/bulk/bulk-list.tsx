import { Link } from "wouter";
import { type BulkActionRow, useBulkActions } from "../../api/bulk-actions.ts";
import { Empty } from "../../components/notice.tsx";
import { formatCount } from "../../components/numbers.ts";
import { Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { Status } from "../../components/state-badge.tsx";
import type { Column } from "../../components/table/column.ts";
import { Table } from "../../components/table/table.tsx";
import { Duration, Time } from "../../components/time/time.tsx";
import { common } from "../../components/words.ts";
import { FilterText } from "./filter-text.tsx";
import { words } from "./words.ts";
import "./bulk.css";

/** The last hundred bulk actions, newest first. */
export default function BulkList() {
  const query = useBulkActions();
  return (
    <Page title={words.title} lead={words.lead}>
      <div className="card">
        <QueryResult query={query}>
          {(rows) => (rows.length === 0 ? <Empty title={words.none}>{words.noneHint}</Empty> : <BulkTable rows={rows} />)}
        </QueryResult>
      </div>
    </Page>
  );
}

function BulkTable({ rows }: { rows: readonly BulkActionRow[] }) {
  const columns: Column<BulkActionRow>[] = [
    {
      id: "id",
      head: common.id,
      kind: "name",
      render: (row) => <Link href={`/bulk/${row.id}`}>{row.id}</Link>,
    },
    { id: "action", head: words.action, render: (row) => words.actions[row.action] },
    { id: "state", head: common.state, render: (row) => <Status status={row.state} /> },
    {
      id: "changed",
      head: words.changed,
      kind: "number",
      render: (row) =>
        row.total === null ? formatCount(row.changed) : common.of(formatCount(row.changed), formatCount(row.total)),
    },
    { id: "filter", head: words.filter, kind: "long", render: (row) => <FilterText filter={row.filter} /> },
    { id: "actor", head: words.startedBy, render: (row) => row.actor },
    { id: "started", head: common.started, render: (row) => <Time at={row.startedAt} /> },
    { id: "took", head: common.duration, render: (row) => <Duration from={row.startedAt} to={row.finishedAt} /> },
  ];
  return <Table label={common.tableOf(words.title)} columns={columns} rows={rows} rowKey={({ id }) => id} corner />;
}
