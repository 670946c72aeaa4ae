import { FileQuestionMark } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { PageProps } from "../../../router/page-props.ts";
import { LongText } from "../../../components/long-text.tsx";
import { Time } from "../../../components/time/time.tsx";
import { Json } from "../../../components/json.tsx";
import { JsonTree } from "../../../components/json-tree/json-tree.tsx";
import { Failure, Loading } from "../../../components/notice.tsx";
import { Card, Page } from "../../../components/page.tsx";
import { isFinished, State } from "../../../components/state-badge.tsx";
import { JobActions } from "./job-actions.tsx";
import { Explanation, useIsDiscarded } from "./explain.tsx";
import { Facts } from "./facts.tsx";
import { Lineage } from "./lineage.tsx";
import { WAIT_KINDS } from "../../../../contract/timeline-kinds.ts";
import { type LogRange, Logs } from "./logs.tsx";
import { intervalOf, keyOf, type TimelineEntry } from "./waterfall/entries.ts";
import { Waterfall } from "./waterfall/waterfall.tsx";
import { Payload } from "./payload.tsx";
import { type Attempt, type Job, useJob, useUsual } from "./use-job.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";
import "./job.css";

/** The page of one job: its state and the reasons for it, its origin, and its actions. */
export default function JobPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  return /^\d{1,19}$/.test(id) ? <Known key={id} id={id.replace(/^0+(?=\d)/, "")} /> : <Missing id={id} />;
}

function Known({ id }: { id: string }) {
  const { query, job, isMissing } = useJob(id);
  if (job === undefined) {
    if (isMissing) return <Missing id={id} />;
    return (
      <Page title={common.jobTitle(id)}>
        {query.isError ? <Failure error={query.error} retry={query.refetch} /> : <Loading />}
      </Page>
    );
  }
  return <Found job={job} error={query.isError && !isMissing ? query.error : undefined} retry={query.refetch} />;
}

function Missing({ id }: { id: string }) {
  const isId = /^\d{1,19}$/.test(id);
  return (
    <Page title={words.detail.missing}>
      <div className="card empty">
        <FileQuestionMark aria-hidden="true" />
        <p>
          {isId ? (
            <Sentence text={words.detail.missingJob} slots={{ id: <strong className="number">{id}</strong> }} />
          ) : (
            <Sentence text={words.detail.notAnId} slots={{ id: <code>{id}</code> }} />
          )}
        </p>
        {isId && <p className="muted">{words.detail.missingHint}</p>}
        <p>
          <Link href="/jobs">{words.detail.newestJobs}</Link>
        </p>
      </div>
    </Page>
  );
}

function Found({ job, error, retry }: { job: Job; error: unknown; retry: () => unknown }) {
  const usual = useUsual(job.task);
  const isOver = isFinished(job.state);
  const [selected, setSelected] = useState<TimelineEntry>();
  const [pointed, setPointed] = useState<TimelineEntry>();
  const failure = job.attemptList.findLast(({ state }) => state === "failed");
  return (
    <Page
      title={common.jobTitle(job.id)}
      lead={
        <span className="job-lead">
          <State state={job.state} />
          <Link href={`/tasks/${encodeURIComponent(job.task)}`}>{job.task}</Link>
          <span>
            <Sentence text={words.detail.enqueuedAt} slots={{ at: <Time at={job.createdAt} /> }} />
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
            <Card title={words.detail.error}>
              <div className="card-body">
                <p className="job-error" dir="auto">
                  <LongText text={job.error} />
                </p>
              </div>
            </Card>
          )}
          <Waterfall
            job={job}
            usual={usual}
            selected={selected === undefined ? undefined : keyOf(selected)}
            onSelect={setSelected}
            onPoint={setPointed}
          />
          <Logs
            id={job.id}
            isLive={!isOver}
            range={rangeOf(selected)}
            pointed={rangeOf(pointed)}
            onShowAll={() => setSelected(undefined)}
          />
          {job.result !== null && (
            <Card title={common.result}>
              <div className="card-body">
                <JsonTree
                  value={job.result}
                  label={words.detail.result}
                  fileName={words.detail.fileName(job.id, words.detail.result)}
                />
              </div>
            </Card>
          )}
          <Payload job={job} />
        </div>
        <div className="job-column">
          <Facts job={job} />
          <Lineage job={job} />
        </div>
      </div>
    </Page>
  );
}

/**
 * The range of log lines that belong to an entry of the timeline: those of its attempt and time. A job writes no log lines while it waits to be
 * started.
 */
function rangeOf(entry: TimelineEntry | undefined): LogRange | undefined {
  if (entry === undefined) return undefined;
  const isStarted = !WAIT_KINDS.some((kind) => kind === entry.kind);
  return { ...intervalOf(entry, Date.now()), label: entry.label, attempt: isStarted ? entry.attempt : undefined };
}

/** The progress that the task reports. */
function Progress({ job }: { job: Job }) {
  if (job.progress === null) return null;
  return (
    <div className="card card-body job-page-progress">
      <progress max={100} value={job.progress} aria-label={common.progress} />
      <p>
        <strong className="number">{Math.round(job.progress)}%</strong> <span className="muted">{job.progressMessage}</span>
      </p>
    </div>
  );
}

function ErrorCard({ job, failure }: { job: Job; failure: Attempt }) {
  const isDiscarded = useIsDiscarded(job);
  return (
    <Card title={words.detail.errorOf(failure.attempt)}>
      <div className="card-body job-failure">
        <p className="job-error">
          {failure.errorName !== null && <strong>{words.detail.errorName(failure.errorName)}</strong>}
          <LongText text={failure.errorMessage ?? common.noMessage} />
        </p>
        {job.state === "failed" && isDiscarded === true && <p>{words.detail.discarded}</p>}
        {failure.errorCode !== null && (
          <p className="muted">
            <Sentence text={words.detail.code} slots={{ code: <code>{failure.errorCode}</code> }} />
          </p>
        )}
        {failure.errorStack !== null && (
          <details>
            <summary>{words.detail.stackTrace}</summary>
            <Json value={failure.errorStack} label={words.detail.stack} />
          </details>
        )}
      </div>
    </Card>
  );
}
