import { Link } from "wouter";
import { CopyButton } from "../../../components/json.tsx";
import { Card } from "../../../components/page.tsx";
import { Duration, ExactTime } from "../../../components/time/time.tsx";
import type { Job } from "./use-job.ts";
import { useTimeline } from "./waterfall/entries.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** The facts about a job, including when it changed state. */
export function Facts({ job }: { job: Job }) {
  return (
    <Card title={words.detail.facts}>
      <dl className="facts card-body">
        <dt>{common.id}</dt>
        <dd className="job-fact-id">
          <span className="number">{job.id}</span>
          <CopyButton text={job.id} label={common.copy(common.id)} />
        </dd>
        <dt>{common.task}</dt>
        <dd>
          <Link href={`/tasks/${encodeURIComponent(job.task)}`}>{job.task}</Link>
        </dd>
        <dt>{common.queue}</dt>
        <dd>
          <Link href={`/queues/${encodeURIComponent(job.queue)}`}>{job.queue}</Link>
        </dd>
        <dt>{common.priority}</dt>
        <dd>{job.priority}</dd>
        <dt>{common.attempts}</dt>
        <dd>{common.of(job.attempts, job.maxAttempts)}</dd>
        {job.tenant !== null && (
          <>
            <dt>{common.tenant}</dt>
            <dd>
              <Link href={`/jobs?${new URLSearchParams({ tenant: job.tenant })}`}>{job.tenant}</Link>
            </dd>
          </>
        )}
        {job.jobKey !== null && (
          <>
            <dt>{words.detail.jobKey}</dt>
            <dd>
              <Link href={`/jobs?${new URLSearchParams({ key: job.jobKey })}`}>{job.jobKey}</Link>
            </dd>
          </>
        )}
        {job.serialKey !== null && (
          <>
            <dt>{words.detail.serialKey}</dt>
            <dd>{job.serialKey}</dd>
          </>
        )}
        <dt>{common.enqueued}</dt>
        <dd className="job-fact-time">
          <ExactTime at={job.createdAt} />
        </dd>
        <dt>{words.detail.runAt}</dt>
        <dd className="job-fact-time">
          <ExactTime at={job.runAt} absent={common.never} />
        </dd>
        <dt>{common.started}</dt>
        <dd className="job-fact-time">
          <ExactTime at={job.startedAt} absent={job.finishedAt === null ? common.notYet : common.never} />
        </dd>
        <dt>{words.detail.finished}</dt>
        <dd className="job-fact-time">
          <ExactTime at={job.finishedAt} absent={common.notYet} />
        </dd>
        {job.startedAt !== null && (
          <>
            <dt>{common.duration}</dt>
            <dd>
              <Duration from={job.startedAt} to={job.finishedAt} />
            </dd>
          </>
        )}
        {job.worker !== null && (
          <>
            <dt>{words.detail.worker}</dt>
            <dd>
              <Worker job={job} id={job.worker} />
            </dd>
          </>
        )}
        {job.traceId !== null && (
          <>
            <dt>{words.detail.trace}</dt>
            <dd className="job-fact-id">
              <code className="truncate" title={job.traceId}>
                {job.traceId}
              </code>
              <CopyButton text={job.traceId} label={common.copy(words.detail.trace)} />
            </dd>
          </>
        )}
        {job.links !== undefined && job.links.length > 0 && (
          <>
            <dt>{words.detail.links}</dt>
            <dd className="job-links">
              {job.links.map(({ name, url }) => (
                <a key={name} href={url} target="_blank" rel="noreferrer">
                  {name}
                </a>
              ))}
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}

/** The worker of the last attempt, named by host and process as on other pages, or by its id until these are known. */
function Worker({ job, id }: { job: Job; id: string }) {
  const { data } = useTimeline(job);
  const name = data?.findLast(({ kind, target }) => kind === "attempt" && target === id)?.actor;
  return (
    <Link href="/workers" title={id}>
      {name ?? id}
    </Link>
  );
}
