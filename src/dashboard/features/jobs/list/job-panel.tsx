import { ExternalLink, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { Link } from "wouter";
import { Button } from "../../../components/button.tsx";
import { Json } from "../../../components/json.tsx";
import { Failure, Loading } from "../../../components/notice.tsx";
import { State } from "../../../components/state-badge.tsx";
import { Duration, ExactTime } from "../../../components/time/time.tsx";
import { common } from "../../../components/words.ts";
import { Explanation } from "../detail/explain.tsx";
import { JobActions, type JobKey } from "../detail/job-actions.tsx";
import { type Job, useJob } from "../detail/use-job.ts";
import { words } from "../words.ts";
import "../detail/job.css";

/** The panel beside the list that shows one job: its facts, why it is in its state, and its actions. Escape closes it. */
export default function JobPanel({
  id,
  pressed,
  onPressed,
  onClose,
}: {
  id: string;
  /** An action whose key was pressed in the list. */
  pressed: JobKey | undefined;
  onPressed: () => void;
  onClose: () => void;
}) {
  const { query, job, isMissing } = useJob(id);
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.scrollTo(0, 0);
  }, [id]);
  return (
    <aside ref={panel} className="card job-panel" aria-label={words.list.jobBeside(id)}>
      <header>
        <h2 className="number">{words.list.jobBeside(id)}</h2>
        <span className="tool-bar">
          <Link href={`/jobs/${id}`} className="button" data-kind="quiet">
            <ExternalLink aria-hidden="true" />
            {words.list.openPage}
          </Link>
          <Button
            kind="quiet"
            aria-label={words.list.closePanel}
            title={words.list.closePanel}
            icon={<X aria-hidden="true" />}
            onClick={onClose}
          />
        </span>
      </header>
      {job === undefined ? (
        query.isError && !isMissing ? (
          <Failure error={query.error} retry={query.refetch} />
        ) : isMissing ? (
          <p className="card-body">{words.detail.missing}</p>
        ) : (
          <Loading rows={8} />
        )
      ) : (
        <div className="job-panel-body">
          <div className="tool-bar">
            <JobActions job={job} pressed={pressed} onPressed={onPressed} />
          </div>
          <Facts job={job} />
          {job.error !== null && job.state !== "completed" && (
            <p className={job.state === "failed" ? "job-error job-panel-error" : "job-panel-error"} dir="auto">
              {job.error}
            </p>
          )}
          {job.state !== "completed" && <Explanation job={job} />}
          <section aria-label={common.payload}>
            <h3>{common.payload}</h3>
            <Json value={job.payload} label={words.detail.payload} />
          </section>
          {job.result !== null && (
            <section aria-label={common.result}>
              <h3>{common.result}</h3>
              <Json value={job.result} label={words.detail.result} />
            </section>
          )}
        </div>
      )}
    </aside>
  );
}

function Facts({ job }: { job: Job }) {
  const facts = [
    [common.state, <State key="state" state={job.state} />],
    [
      common.task,
      <Link key="task" href={`/tasks/${encodeURIComponent(job.task)}`} dir="auto">
        {job.task}
      </Link>,
    ],
    [
      common.queue,
      <Link key="queue" href={`/queues/${encodeURIComponent(job.queue)}`} dir="auto">
        {job.queue}
      </Link>,
    ],
    [common.attempts, common.of(job.attempts, job.maxAttempts)],
    [common.priority, job.priority],
    [common.tenant, job.tenant],
    [words.detail.jobKey, job.jobKey],
    [common.created, <ExactTime key="created" at={job.createdAt} />],
    [common.started, job.startedAt === null ? null : <ExactTime key="started" at={job.startedAt} />],
    [
      common.duration,
      job.startedAt === null ? null : (
        <Duration key="took" from={job.startedAt} to={job.finishedAt ?? (job.state === "running" ? null : job.startedAt)} />
      ),
    ],
    [words.detail.finished, job.finishedAt === null ? null : <ExactTime key="finished" at={job.finishedAt} />],
    [words.detail.worker, job.worker],
  ] as const;
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <div key={name} className="job-panel-fact">
            <dt>{name}</dt>
            <dd dir="auto">{value}</dd>
          </div>
        ))}
    </dl>
  );
}
