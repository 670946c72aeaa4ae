import type { Json } from "../../../../contract/rows.ts";
import type { stepSchema } from "../../../../contract/jobs.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "../../../api/request.ts";
import { Duration, Time } from "../../../components/time/time.tsx";
import { Card } from "../../../components/page.tsx";
import { isFinished, Status } from "../../../components/state-badge.tsx";
import type { Job } from "./use-job.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

type Step = Json<typeof stepSchema>;

/** The steps of a task that have completed or are waiting. Renders nothing without steps. */
export function Steps({ job }: { job: Job }) {
  const { data } = useQuery({
    queryKey: ["job steps", job.id],
    queryFn: async ({ signal }) => (await rest<{ items: Step[] }>("GET", `/jobs/${job.id}/steps`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : 2_000,
  });
  if (data === undefined || data.length === 0) return null;
  return (
    <Card title={words.detail.steps}>
      <div className="table-scroll" role="region" aria-label={common.tableOf(words.detail.steps)} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{words.detail.step}</th>
              <th scope="col">{words.detail.type}</th>
              <th scope="col">{common.state}</th>
              <th scope="col" className="end">
                {words.detail.attemptColumn}
              </th>
              <th scope="col">{common.started}</th>
              <th scope="col" className="end">
                {common.duration}
              </th>
              <th scope="col">{common.result}</th>
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
                      <Sentence text={words.detail.until} slots={{ at: <Time at={step.deadline} /> }} />
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
