import { Link } from "wouter";
import { useWorkers } from "../../api/monitoring.ts";
import { Empty } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { WorkerTable } from "../workers/worker-table.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { words } from "./words.ts";

/** How many workers are shown here; the page Workers lists all. */
const SHOWN = 10;

export function WorkerSummary() {
  const query = useWorkers();
  return (
    <Card title={words.workers} actions={<Link href="/workers">{words.allWorkers}</Link>}>
      <QueryResult query={query} rows={3}>
        {(workers) =>
          workers.length === 0 ? (
            <Empty title={words.noWorkers}>
              <Sentence text={words.noWorkersHint} slots={{ command: <code>legwork worker</code> }} />
            </Empty>
          ) : (
            <>
              <WorkerTable workers={workers.slice(0, SHOWN)} />
              {workers.length > SHOWN && (
                <p className="attention-rest">
                  <Link href="/workers">{words.moreWorkers(workers.length - SHOWN)}</Link>
                </p>
              )}
            </>
          )
        }
      </QueryResult>
    </Card>
  );
}
