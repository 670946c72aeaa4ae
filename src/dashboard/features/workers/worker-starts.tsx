import { useState } from "react";
import { useWorkerStarts } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";

const DAYS = 7;

/** When workers started lately: deployments, and whatever else begins with a start. */
export function WorkerStarts() {
  const [since] = useState(() => new Date(Date.now() - DAYS * 86_400_000).toISOString());
  const query = useWorkerStarts(since);
  return (
    <Card title={`Started in the last ${DAYS} days`}>
      <QueryResult query={query} rows={3}>
        {(starts) =>
          starts.length === 0 ? (
            <p className="card-body muted">No worker has started.</p>
          ) : (
            <div className="table-scroll worker-starts" tabIndex={0} role="region" aria-label="Starts, table">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Time</th>
                    <th scope="col">Host</th>
                    <th scope="col" className="end">
                      Workers
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
