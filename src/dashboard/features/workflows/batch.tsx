import { Link } from "wouter";
import { formatCount } from "../../components/numbers.ts";
import { Duration, ExactTime } from "../../components/time/time.tsx";
import { jobsPath } from "../../router/links.ts";
import type { PageProps } from "../../router/page-props.ts";
import { Card, Figure, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { Progress } from "./progress.tsx";
import { useBatch } from "../../api/workflows.ts";
import "./workflows.css";

export default function BatchPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  const query = useBatch(id);
  return (
    <Page title={query.data?.description ?? `Batch ${id}`} lead={<Link href="/workflows?show=batches">Batches</Link>}>
      <QueryResult query={query}>
        {(batch) => (
          <>
            <Card>
              <div className="card-body run-head">
                <State state={batch.state} />
                <Progress percent={batch.progress} label="Progress" />
              </div>
            </Card>
            <dl className="figures">
              <Figure label="Jobs" value={formatCount(batch.total)} />
              <Figure label="Completed" value={formatCount(batch.completed)} />
              <Figure label="Failed" value={formatCount(batch.failed)} tone={batch.failed === "0" ? undefined : "bad"} />
              <Figure label="Cancelled" value={formatCount(batch.cancelled)} />
              <Figure label="Expired" value={formatCount(batch.expired)} />
              <Figure label="Takes" value={<Duration from={batch.createdAt} to={batch.endedAt} />} />
            </dl>
            <Card title="Facts">
              <dl className="facts card-body">
                <dt>Id</dt>
                <dd>{batch.id}</dd>
                <dt>Jobs</dt>
                <dd>
                  <Link href={jobsPath({ correlation: batch.correlationId })}>those of correlation {batch.correlationId}</Link>
                </dd>
                <dt>When all have ended</dt>
                <dd>
                  {batch.callbackJobId === null ? (
                    "Nothing follows."
                  ) : (
                    <Link href={`/jobs/${batch.callbackJobId}`}>job {batch.callbackJobId}</Link>
                  )}
                </dd>
                {batch.tenant !== null && (
                  <>
                    <dt>Tenant</dt>
                    <dd>{batch.tenant}</dd>
                  </>
                )}
                <dt>Enqueued</dt>
                <dd>
                  <ExactTime at={batch.createdAt} />
                </dd>
                <dt>Ended</dt>
                <dd>
                  <ExactTime at={batch.endedAt} absent="not yet" />
                </dd>
              </dl>
            </Card>
          </>
        )}
      </QueryResult>
    </Page>
  );
}
