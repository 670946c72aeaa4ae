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
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./workflows.css";

export default function BatchPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  const query = useBatch(id);
  return (
    <Page
      title={query.data?.description ?? words.batchTitle(id)}
      lead={<Link href="/workflows?show=batches">{words.batches}</Link>}
    >
      <QueryResult query={query}>
        {(batch) => (
          <>
            <Card>
              <div className="card-body run-head">
                <State state={batch.state} />
                <Progress percent={batch.progress} label={common.progress} />
              </div>
            </Card>
            <dl className="figures">
              <Figure label={common.jobs} value={formatCount(batch.total)} />
              <Figure label={common.completed} value={formatCount(batch.completed)} />
              <Figure label={common.failed} value={formatCount(batch.failed)} tone={batch.failed === "0" ? undefined : "bad"} />
              <Figure label={common.cancelled} value={formatCount(batch.cancelled)} />
              <Figure label={common.expired} value={formatCount(batch.expired)} />
              <Figure label={common.duration} value={<Duration from={batch.createdAt} to={batch.endedAt} />} />
            </dl>
            <Card title={words.facts}>
              <dl className="facts card-body">
                <dt>{common.id}</dt>
                <dd>{batch.id}</dd>
                <dt>{common.jobs}</dt>
                <dd>
                  <Link href={jobsPath({ correlation: batch.correlationId })}>{words.relatedJobs(batch.correlationId)}</Link>
                </dd>
                <dt>{words.callback}</dt>
                <dd>
                  {batch.callbackJobId === null ? (
                    common.none
                  ) : (
                    <Link href={`/jobs/${batch.callbackJobId}`}>{common.jobLink(batch.callbackJobId)}</Link>
                  )}
                </dd>
                {batch.tenant !== null && (
                  <>
                    <dt>{common.tenant}</dt>
                    <dd>{batch.tenant}</dd>
                  </>
                )}
                <dt>{common.enqueued}</dt>
                <dd>
                  <ExactTime at={batch.createdAt} />
                </dd>
                <dt>{common.ended}</dt>
                <dd>
                  <ExactTime at={batch.endedAt} absent={common.notYet} />
                </dd>
              </dl>
            </Card>
          </>
        )}
      </QueryResult>
    </Page>
  );
}
