import type { Json } from "../../../../contract/rows.ts";
import type { stepSchema } from "../../../../contract/jobs.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "../../../api/request.ts";
import { Duration, Time } from "../../../components/time/time.tsx";
import { Card } from "../../../components/page.tsx";
import { isFinished, Status } from "../../../components/state-badge.tsx";
import type { Job } from "./use-job.ts";

type Step = Json<typeof stepSchema>;

/** What a task has recorded as done, and what it waits for. Nothing where it has no steps. */
export function Steps({ job }: { job: Job }) {
  const { data } = useQuery({
    queryKey: ["job steps", job.id],
    queryFn: async ({ signal }) => (await rest<{ items: Step[] }>("GET", `/jobs/${job.id}/steps`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : 2_000,
  });
  if (data === undefined || data.length === 0) return null;
  return (
    <Card title="Steps">
      <div className="table-scroll" role="region" aria-label="Steps" tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">Kind</th>
              <th scope="col">State</th>
              <th scope="col" className="end">
                Attempt
              </th>
              <th scope="col">Began</th>
              <th scope="col" className="end">
                Took
              </th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {data.map((step) => (
              <tr key={`${step.kind} ${step.name}`}>
                <td>{step.name}</td>
                <td className="muted">{step.kind}</td>
                <td>
                  <Status status={step.state.replace("_", " ")} />
                  {step.state === "waiting" && step.deadline !== null && (
                    <span className="muted">
                      {" "}
                      until <Time at={step.deadline} />
                    </span>
                  )}
                </td>
                <td className="end">{step.attempt}</td>
                <td>
                  <Time at={step.startedAt} />
                </td>
                <td className="end">
                  <Duration from={step.startedAt} to={step.finishedAt} />
                </td>
                <td>
                  <code className="step-result">{step.result === null ? "" : JSON.stringify(step.result)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
