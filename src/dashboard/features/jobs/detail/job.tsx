import { FileQuestionMark } from "lucide-react";
import { Link } from "wouter";
import type { PageProps } from "../../../router/page-props.ts";
import { ExactTime, Time } from "../../../components/time/time.tsx";
import { CopyButton, Json } from "../../../components/json.tsx";
import { Failure, Loading } from "../../../components/notice.tsx";
import { Card, Page } from "../../../components/page.tsx";
import { isFinished, State } from "../../../components/state-badge.tsx";
import { JobActions } from "./job-actions.tsx";
import { Explanation, useIsDiscarded } from "./explain.tsx";
import { Lineage } from "./lineage.tsx";
import { Logs } from "./logs.tsx";
import { Steps } from "./steps.tsx";
import { Timeline } from "./timeline.tsx";
import { type Attempt, type Job, useJob, useUsual } from "./use-job.ts";
import "./job.css";

/** All about one job: what became of it, why, where it comes from, and what can be done. */
export default function JobPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  return /^\d{1,19}$/.test(id) ? <Known key={id} id={id.replace(/^0+(?=\d)/, "")} /> : <Missing id={id} />;
}

function Known({ id }: { id: string }) {
  const { query, job, isMissing } = useJob(id);
  if (job === undefined) {
    if (isMissing) return <Missing id={id} />;
    return <Page title={`Job ${id}`}>{query.isError ? <Failure error={query.error} retry={query.refetch} /> : <Loading />}</Page>;
  }
  return <Found job={job} error={query.isError && !isMissing ? query.error : undefined} retry={query.refetch} />;
}

function Missing({ id }: { id: string }) {
  const isId = /^\d{1,19}$/.test(id);
  return (
    <Page title="No such job">
      <div className="card empty">
        <FileQuestionMark aria-hidden="true" />
        <p>
          {isId ? (
            <>
              There is no job <strong className="number">{id}</strong>.
            </>
          ) : (
            <>
              <code>{id}</code> is no job’s id: ids are whole numbers.
            </>
          )}
        </p>
        {isId && (
          <p className="muted">
            Either it was never made, or it ended so long ago that the history has dropped it, or it belongs to a tenant that your
            token does not see.
          </p>
        )}
        <p>
          <Link href="/jobs">See the newest jobs</Link>
        </p>
      </div>
    </Page>
  );
}

function Found({ job, error, retry }: { job: Job; error: unknown; retry: () => unknown }) {
  const usual = useUsual(job.task);
  const isOver = isFinished(job.state);
  const failure = job.attemptList.findLast(({ state }) => state === "failed");
  return (
    <Page
      title={`Job ${job.id}`}
      lead={
        <span className="job-lead">
          <State state={job.state} />
          <Link href={`/tasks/${encodeURIComponent(job.task)}`}>{job.task}</Link>
          <span>
            enqueued <Time at={job.createdAt} />
          </span>
        </span>
      }
      actions={<JobActions job={job} />}
    >
      {error !== undefined && <Failure error={error} retry={retry} />}
      {job.state === "running" && <Progress job={job} />}
      <div className="job-columns">
        <div className="job-column">
          {job.state !== "completed" && !(job.state === "failed" && failure !== undefined) && <Explanation job={job} />}
          {failure !== undefined && job.state !== "completed" && <ErrorCard job={job} failure={failure} />}
          {failure === undefined && job.error !== null && job.state === "failed" && (
            <Card title="Error">
              <div className="card-body">
                <p className="job-error">{job.error}</p>
              </div>
            </Card>
          )}
          <Card title="Timeline">
            <Timeline job={job} usual={usual} />
          </Card>
          {job.result !== null && (
            <Card title="Result">
              <div className="card-body">
                <Json value={job.result} label="result" />
              </div>
            </Card>
          )}
          <Card title="Payload">
            <div className="card-body">
              <Json value={job.payload} label="payload" />
            </div>
          </Card>
          <Steps job={job} />
          <Logs id={job.id} isLive={!isOver} />
        </div>
        <div className="job-column">
          <Facts job={job} />
          <Lineage job={job} />
        </div>
      </div>
    </Page>
  );
}

/** How far it is, by its task's own account. */
function Progress({ job }: { job: Job }) {
  if (job.progress === null) return null;
  return (
    <div className="card card-body job-page-progress">
      <progress max={100} value={job.progress} aria-label="Progress" />
      <p>
        <strong className="number">{Math.round(job.progress)} %</strong> <span className="muted">{job.progressMessage}</span>
      </p>
    </div>
  );
}

function ErrorCard({ job, failure }: { job: Job; failure: Attempt }) {
  const isDiscarded = useIsDiscarded(job);
  return (
    <Card title={`Error of attempt ${failure.attempt}`}>
      <div className="card-body job-failure">
        <p className="job-error">
          {failure.errorName !== null && <strong>{failure.errorName}: </strong>}
          {failure.errorMessage ?? "It has no message."}
        </p>
        {job.state === "failed" && isDiscarded === true && (
          <p>It was given up: it cannot be retried any more, and can be re-run as a new job.</p>
        )}
        {failure.errorCode !== null && (
          <p className="muted">
            Code <code>{failure.errorCode}</code>
          </p>
        )}
        {failure.errorStack !== null && (
          <details>
            <summary>Where it was thrown</summary>
            <Json value={failure.errorStack} label="stack" />
          </details>
        )}
      </div>
    </Card>
  );
}

function Facts({ job }: { job: Job }) {
  return (
    <Card title="Facts">
      <dl className="facts card-body">
        <dt>Id</dt>
        <dd className="job-fact-id">
          <span className="number">{job.id}</span>
          <CopyButton text={job.id} label="Copy the id" />
        </dd>
        <dt>Task</dt>
        <dd>
          <Link href={`/tasks/${encodeURIComponent(job.task)}`}>{job.task}</Link>
        </dd>
        <dt>Queue</dt>
        <dd>
          <Link href={`/queues/${encodeURIComponent(job.queue)}`}>{job.queue}</Link>
        </dd>
        <dt>Priority</dt>
        <dd>{job.priority}</dd>
        <dt>Attempts</dt>
        <dd>
          {job.attempts} of {job.maxAttempts}
        </dd>
        {job.tenant !== null && (
          <>
            <dt>Tenant</dt>
            <dd>
              <Link href={`/jobs?${new URLSearchParams({ tenant: job.tenant })}`}>{job.tenant}</Link>
            </dd>
          </>
        )}
        {job.jobKey !== null && (
          <>
            <dt>Job key</dt>
            <dd>
              <Link href={`/jobs?${new URLSearchParams({ key: job.jobKey })}`}>{job.jobKey}</Link>
            </dd>
          </>
        )}
        {job.serialKey !== null && (
          <>
            <dt>Serial key</dt>
            <dd>{job.serialKey}</dd>
          </>
        )}
        <dt>Enqueued</dt>
        <dd>
          <ExactTime at={job.createdAt} />
        </dd>
        <dt>Finished</dt>
        <dd>
          <ExactTime at={job.finishedAt} absent="not yet" />
        </dd>
        {job.worker !== null && (
          <>
            <dt>Worker</dt>
            <dd>
              <code>{job.worker}</code>
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}
