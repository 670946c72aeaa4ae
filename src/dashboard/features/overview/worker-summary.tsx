import { Link } from "wouter";
import { useWorkers } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { Empty } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { WorkerTable } from "../workers/worker-table.tsx";

/** Workers that are shown here; the page of workers has all. */
const SHOWN = 10;

export function WorkerSummary() {
  const query = useWorkers();
  return (
    <Card title="Workers" actions={<Link href="/workers">All workers</Link>}>
      <QueryResult query={query} rows={3}>
        {(workers) =>
          workers.length === 0 ? (
            <Empty title="No Legwork worker lives.">
              Start one: <code>legwork worker</code>. Plain graphile-worker processes do not report here.
            </Empty>
          ) : (
            <>
              <WorkerTable workers={workers.slice(0, SHOWN)} />
              {workers.length > SHOWN && (
                <p className="attention-rest">
                  <Link href="/workers">{formatCount(workers.length - SHOWN)} more workers</Link>
                </p>
              )}
            </>
          )
        }
      </QueryResult>
    </Card>
  );
}
