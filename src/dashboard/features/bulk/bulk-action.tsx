import { useQueryClient } from "@tanstack/react-query";
import { OctagonX } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { type BulkActionRow, useBulkAction } from "../../api/bulk-actions.ts";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { formatCount } from "../../components/numbers.ts";
import { Failure } from "../../components/notice.tsx";
import { Card, Figure, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { Status } from "../../components/state-badge.tsx";
import { Table } from "../../components/table/table.tsx";
import { useNow } from "../../components/time/clock.ts";
import { Duration, ExactTime, Time } from "../../components/time/time.tsx";
import { tell } from "../../components/toasts.tsx";
import { common } from "../../components/words.ts";
import type { PageProps } from "../../router/page-props.ts";
import { FilterText } from "./filter-text.tsx";
import { words } from "./words.ts";
import "./bulk.css";

/** How long a process may take for the first chunk, and between two chunks if a temporary error occurs (ms). */
const FIRST_CHUNK_MS = 15_000;
const NEXT_CHUNK_MS = 90_000;

export default function BulkActionPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  const query = useBulkAction(id);
  const may = useMay("operator");
  const [isAsking, setAsking] = useState(false);
  return (
    <Page
      title={words.titleOf(id)}
      lead={<Link href="/bulk">{words.list}</Link>}
      actions={
        may &&
        query.data?.state === "running" && (
          <Button kind="danger" icon={<OctagonX aria-hidden="true" />} onClick={() => setAsking(true)}>
            {words.stop}
          </Button>
        )
      }
    >
      <QueryResult query={query}>{(row) => <Details row={row} />}</QueryResult>
      {isAsking && <StopDialog id={id} onClose={() => setAsking(false)} />}
    </Page>
  );
}

function Details({ row }: { row: BulkActionRow }) {
  const reasons = Object.entries(row.skipReasons);
  return (
    <>
      <Card title={words.actions[row.action]}>
        <div className="card-body bulk-head">
          <Status status={row.state} />
          <span
            className="progress"
            role="progressbar"
            aria-label={words.progressOf(row.id)}
            aria-valuenow={Math.floor(percentOf(row))}
            aria-valuemin={0}
            aria-valuemax={100}
          >
            <span style={{ "--share": `${percentOf(row)}%` } as React.CSSProperties} />
          </span>
          <span className="number" role="status">
            {row.total === null ? words.counting : words.ofTotal(row.changed, row.total)}
          </span>
          <span className="muted">{words.states[row.state]}</span>
        </div>
        <Trouble row={row} />
      </Card>
      <dl className="figures">
        <Figure label={words.matching} value={formatCount(row.total)} />
        <Figure label={words.changed} value={formatCount(row.changed)} />
        <Figure label={words.skipped} value={formatCount(row.skipped)} tone={row.skipped === "0" ? undefined : "warn"} />
        <Figure label={common.duration} value={<Duration from={row.startedAt} to={row.finishedAt} />} />
      </dl>
      <Card>
        <dl className="facts card-body">
          <dt>{words.filter}</dt>
          <dd className="bulk-filter">
            <FilterText filter={row.filter} />
          </dd>
          <dt>{words.startedBy}</dt>
          <dd>{row.actor}</dd>
          <dt>{common.started}</dt>
          <dd>
            <ExactTime at={row.startedAt} />
          </dd>
          {row.finishedAt !== null && (
            <>
              <dt>{common.ended}</dt>
              <dd>
                <ExactTime at={row.finishedAt} />
              </dd>
            </>
          )}
          {row.priority !== null && (
            <>
              <dt>{words.newPriority}</dt>
              <dd>{row.priority}</dd>
            </>
          )}
          {row.reason !== null && (
            <>
              <dt>{words.reason}</dt>
              <dd>{row.reason}</dd>
            </>
          )}
          {row.tenant !== null && (
            <>
              <dt>{common.tenant}</dt>
              <dd>{row.tenant}</dd>
            </>
          )}
        </dl>
      </Card>
      {reasons.length > 0 && (
        <Card title={words.skipped}>
          <Table
            label={common.tableOf(words.skipped)}
            columns={[
              { id: "reason", head: words.why, render: ([reason]) => <span dir="auto">{reason}</span> },
              { id: "jobs", head: common.jobs, kind: "number", render: ([, jobs]) => formatCount(jobs) },
            ]}
            rows={reasons}
            rowKey={([reason]) => reason}
          />
        </Card>
      )}
    </>
  );
}

/** The problem of a bulk action: an error that is being retried or has ended the action, or the lack of a process that carries it out. */
function Trouble({ row }: { row: BulkActionRow }) {
  const now = useNow(5_000);
  if (row.lastError !== null) {
    return (
      <p className="card-body" role="alert">
        {row.state === "running" ? words.retrying(row.lastError) : row.lastError}
      </p>
    );
  }
  const silent = now - Date.parse(row.workedAt ?? row.startedAt);
  if (row.state !== "running" || silent < (row.workedAt === null ? FIRST_CHUNK_MS : NEXT_CHUNK_MS)) return null;
  return (
    <p className="card-body" role="alert">
      <Sentence
        text={words.abandoned}
        slots={{ at: <Time at={row.workedAt ?? row.startedAt} />, command: <code>legwork worker</code> }}
      />
    </p>
  );
}

function percentOf({ changed, skipped, total, state }: BulkActionRow): number {
  if (state === "completed") return 100;
  if (total === null) return 0;
  return Math.min(100, (100 * (Number(changed) + Number(skipped))) / Math.max(1, Number(total)));
}

function StopDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function stop(): Promise<void> {
    setBusy(true);
    try {
      const { state } = await rest<{ state: string }>("POST", `/bulk-actions/${id}/stop`);
      tell(state === "stopped" ? words.stopped(id) : words.hadEnded(id));
      await client.invalidateQueries({ queryKey: ["bulk-actions"] });
      onClose();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  }
  return (
    <Dialog title={words.stopQuestion} onClose={onClose}>
      <div className="dialog-body">
        <p>{words.stopExplained}</p>
      </div>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <Button onClick={onClose}>{words.keepRunning}</Button>
        <Button kind="danger" busy={busy} onClick={() => void stop()}>
          {words.stop}
        </Button>
      </footer>
    </Dialog>
  );
}
