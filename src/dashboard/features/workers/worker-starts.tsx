import { useState } from "react";
import { useWorkerStarts } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { common } from "../../components/words.ts";
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
            <div className="table-scroll worker-starts" tabIndex={0} role="region" aria-label={common.tableOf(words.startsTable)}>
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">{common.time}</th>
                    <th scope="col">{words.host}</th>
                    <th scope="col" className="end">
                      {words.workers}
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {starts.map(({ startedAt: at, host, workers }) => (
                    <tr key={at + host}>
                      <td>
                        <ExactTime at={at} />
                      </td>
                      <td>{host}</td>
                      <td className="end">{formatCount(workers)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </QueryResult>
    </Card>
  );
}
