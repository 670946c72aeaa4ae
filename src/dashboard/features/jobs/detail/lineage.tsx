import type { Json } from "../../../../contract/rows.ts";
import type { auditLineSchema } from "../../../../contract/system.ts";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { useMay } from "../../../api/me.ts";
import { rest, withQuery } from "../../../api/request.ts";
import { ExactTime, Time } from "../../../components/time/time.tsx";
import { Card } from "../../../components/page.tsx";
import { isFinished, State } from "../../../components/state-badge.tsx";
import { type Job, type Relation, useRelations, useReruns } from "./use-job.ts";

/** Where a job comes from, as far as anything says, and what has come of it. */
export function Lineage({ job }: { job: Job }) {
  const { data: relations } = useRelations(job.id, !isFinished(job.state));
  const { data: reruns } = useReruns(job.id);
  const repeats = reruns?.find(({ id }) => id === job.id);
  const again = reruns?.filter(({ id }) => id !== job.id) ?? [];
  const rerunIds = new Set(again.map(({ id }) => id));
  const children = relations?.children.nodes.filter(({ id }) => !rerunIds.has(id)) ?? [];
  return (
    <Card title="Where it comes from">
      <ul className="lineage">
        {repeats !== undefined && (
          <li>
            A re-run of <Link href={`/jobs/${repeats.originalId}`}>job {repeats.originalId}</Link>
            {repeats.payloadChanged ? ", with another payload" : ""}, asked for by {repeats.requestedBy}{" "}
            <Time at={repeats.requestedAt} />
          </li>
        )}
        {relations?.workflow != null && (
          <li>
            Step {relations.workflowStep === null ? "" : <strong>{relations.workflowStep.name}</strong>} of the workflow{" "}
            <Link href={`/workflows/${relations.workflow.id}`}>{relations.workflow.name}</Link>
          </li>
        )}
        {relations?.schedule != null && (
          <li>
            The schedule <Link href={`/schedules/${encodeURIComponent(relations.schedule.name)}`}>{relations.schedule.name}</Link>
            {relations.scheduleRun !== null && (
              <>
                , due <ExactTime at={relations.scheduleRun.dueAt} />
              </>
            )}
          </li>
        )}
        {repeats === undefined && relations?.parent != null && (
          <li>
            Enqueued by <JobLink job={relations.parent} />
          </li>
        )}
        {repeats === undefined && relations?.parent == null && job.parentId !== null && (
          <li>Enqueued by job {job.parentId}, which the history does not have any more</li>
        )}
        {relations !== undefined &&
          relations !== null &&
          repeats === undefined &&
          relations.workflow === null &&
          relations.schedule === null &&
          job.parentId === null && (
            <li className="muted">
              Nothing says: it was enqueued by SQL, a trigger, or a client of the API. Enqueueing is not audited.
            </li>
          )}
        {job.correlationId !== null && (
          <li>
            Correlation id{" "}
            <Link href={`/jobs?${new URLSearchParams({ correlation: job.correlationId })}`}>{job.correlationId}</Link>: everything
            that came from the same cause
          </li>
        )}
      </ul>
      {(again.length > 0 || children.length > 0) && (
        <>
          <h3 className="lineage-heading">What came of it</h3>
          <ul className="lineage">
            {again.map(({ id, requestedBy, requestedAt, payloadChanged }) => (
              <li key={id}>
                Re-run as <Link href={`/jobs/${id}`}>job {id}</Link>
                {payloadChanged ? " with another payload" : ""} by {requestedBy} <Time at={requestedAt} />
              </li>
            ))}
            {children.map((child) => (
              <li key={child.id}>
                <JobLink job={child} />
              </li>
            ))}
            {relations?.children.pageInfo.hasNextPage === true && (
              <li>
                <Link href={`/jobs?parent=${job.id}`}>All that it enqueued</Link>
              </li>
            )}
          </ul>
        </>
      )}
      <Audited id={job.id} />
    </Card>
  );
}

function JobLink({ job }: { job: Relation }) {
  return (
    <span className="job-link">
      <Link href={`/jobs/${job.id}`}>job {job.id}</Link> <span className="truncate">{job.task}</span> <State state={job.state} />
    </span>
  );
}

type AuditLine = Json<typeof auditLineSchema>;

/** What people did with it, for who may read the audit log. */
function Audited({ id }: { id: string }) {
  const may = useMay("admin");
  const { data } = useQuery({
    queryKey: ["job audit", id],
    enabled: may,
    queryFn: async ({ signal }) =>
      (
        await rest<{ items: AuditLine[] }>(
          "GET",
          withQuery("/audit-log", { targetType: "job", target: id, limit: 20 }),
          undefined,
          signal,
        )
      ).items,
  });
  if (data === undefined || data.length === 0) return null;
  return (
    <>
      <h3 className="lineage-heading">What people did</h3>
      <ul className="lineage">
        {data.map((line) => (
          <li key={line.id}>
            {line.operation.replaceAll("_", " ")} by {line.actor ?? line.databaseRole} ({line.surface}){" "}
            <Time at={line.occurredAt} />
          </li>
        ))}
      </ul>
    </>
  );
}
