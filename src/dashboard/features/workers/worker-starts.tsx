import { useState } from "react";
import { useWorkerStarts } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

const DAYS = 7;

/** Recent worker starts, for example by deployments. */
export function WorkerStarts() {
  const [since] = useState(() => new Date(Date.now() - DAYS * 86_400_000).toISOString());
  const query = useWorkerStarts(since);
  return (
    <Card title={words.starts(DAYS)}>
      <QueryResult query={query} rows={3}>
        {(starts) =>
          starts.length === 0 ? (
            <p className="card-body muted">{words.noStarts}</p>
          ) : (
            <Table
              label={common.tableOf(words.startsTable)}
              rows={starts}
              rowKey={({ startedAt, host }) => startedAt + host}
              columns={[
                { id: "time", head: common.time, render: ({ startedAt }) => <ExactTime at={startedAt} /> },
                { id: "host", head: words.host, kind: "name", render: ({ host }) => host },
                {
                  id: "version",
                  head: words.version,
                  render: (start) => (
                    <>
                      {(start.versions ?? []).join(", ")}{" "}
                      {isNew(start.versions, starts[starts.indexOf(start) + 1]?.versions) && (
                        <span className="chip">{words.newVersion}</span>
                      )}
                    </>
                  ),
                },
                { id: "workers", head: words.workers, kind: "number", render: ({ workers }) => formatCount(workers) },
              ]}
            />
          )
        }
      </QueryResult>
    </Card>
  );
}

/** Whether a start is a deployment, that is, has a version that the start before it did not have. The list is sorted newest first. */
function isNew(versions: readonly string[] | null, before: readonly string[] | null | undefined): boolean {
  return versions !== null && before !== null && before !== undefined && versions.some((version) => !before.includes(version));
}
