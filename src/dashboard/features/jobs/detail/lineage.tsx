import { Link } from "wouter";
import { ExactTime, Time } from "../../../components/time/time.tsx";
import { Card } from "../../../components/page.tsx";
import { isFinished, State } from "../../../components/state-badge.tsx";
import { type Job, type Relation, useRelations, useReruns } from "./use-job.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** The origin of a job as far as it is recorded. */
export function Lineage({ job }: { job: Job }) {
  const { data: relations } = useRelations(job.id, !isFinished(job.state));
  const { data: reruns } = useReruns(job.id);
  const repeats = reruns?.find(({ id }) => id === job.id);
  return (
    <Card title={words.detail.origin}>
      <ul className="lineage">
        {repeats !== undefined && (
          <li>
            <Sentence
              text={repeats.payloadChanged ? words.detail.rerunOfChanged : words.detail.rerunOf}
              slots={{
                job: <Link href={`/jobs/${repeats.originalId}`}>{common.jobLink(repeats.originalId)}</Link>,
                by: repeats.requestedBy,
                at: <Time at={repeats.requestedAt} />,
              }}
            />
          </li>
        )}
        {relations?.workflow != null && (
          <li>
            <Sentence
              text={words.detail.stepOf}
              slots={{
                step: relations.workflowStep === null ? "" : <strong>{relations.workflowStep.name}</strong>,
                workflow: <Link href={`/workflows/${relations.workflow.id}`}>{relations.workflow.name}</Link>,
              }}
            />
          </li>
        )}
        {relations?.schedule != null && (
          <li>
            <Sentence
              text={words.detail.fromSchedule}
              slots={{
                schedule: (
                  <Link href={`/schedules/${encodeURIComponent(relations.schedule.name)}`}>{relations.schedule.name}</Link>
                ),
              }}
            />
            {relations.scheduleRun !== null && (
              <Sentence text={words.detail.scheduleDue} slots={{ at: <ExactTime at={relations.scheduleRun.dueAt} /> }} />
            )}
          </li>
        )}
        {repeats === undefined && relations?.parent != null && (
          <li>
            <Sentence text={words.detail.enqueuedBy} slots={{ job: <JobLink job={relations.parent} /> }} />
          </li>
        )}
        {repeats === undefined && relations?.parent == null && job.parentId !== null && (
          <li>{words.detail.enqueuedByUnknown(job.parentId)}</li>
        )}
        {relations !== undefined &&
          relations !== null &&
          repeats === undefined &&
          relations.workflow === null &&
          relations.schedule === null &&
          job.parentId === null && <li className="muted">{words.detail.originUnknown}</li>}
        {job.correlationId !== null && (
          <li>
            <Sentence
              text={words.detail.correlation}
              slots={{
                id: job.correlationId,
                jobs: (
                  <Link href={`/jobs?${new URLSearchParams({ correlation: job.correlationId })}`}>
                    {words.detail.relatedJobs}
                  </Link>
                ),
              }}
            />
          </li>
        )}
      </ul>
      {relations?.children.pageInfo.hasNextPage === true && (
        <p className="card-body">
          <Link href={`/jobs?parent=${job.id}`}>{words.detail.allChildJobs}</Link>
        </p>
      )}
    </Card>
  );
}

function JobLink({ job }: { job: Relation }) {
  return (
    <span className="job-link">
      <Link href={`/jobs/${job.id}`}>{common.jobLink(job.id)}</Link> <span className="truncate">{job.task}</span>{" "}
      <State state={job.state} />
    </span>
  );
}
