import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { rest } from "../../../api/request.ts";
import { Differences } from "../../../components/json-tree/differences.tsx";
import { JsonTree } from "../../../components/json-tree/json-tree.tsx";
import { Card } from "../../../components/page.tsx";
import { QueryResult } from "../../../components/query-result.tsx";
import { writeFilter } from "../filter.ts";
import { type Job, useReruns } from "./use-job.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** The payload of a job and, for a rerun, the differences from the payload of the original job. */
export function Payload({ job }: { job: Job }) {
  const { data: reruns } = useReruns(job.id);
  const original = reruns?.find(({ id, payloadChanged }) => id === job.id && payloadChanged)?.originalId;
  const [isComparing, setComparing] = useState(false);
  return (
    <Card
      title={common.payload}
      actions={
        original !== undefined && (
          <label className="check">
            <input type="checkbox" checked={isComparing} onChange={({ target }) => setComparing(target.checked)} />
            {words.detail.changesOf(original)}
          </label>
        )
      }
    >
      {isComparing && original !== undefined ? (
        <Comparison job={job} original={original} />
      ) : (
        <div className="card-body">
          <JsonTree
            value={job.payload}
            label={words.detail.payload}
            fileName={words.detail.fileName(job.id, words.detail.payload)}
            filterPage={(filter) => `/jobs?${writeFilter({ payload: filter })}`}
          />
        </div>
      )}
    </Card>
  );
}

function Comparison({ job, original }: { job: Job; original: string }) {
  const query = useQuery({
    queryKey: ["job", original],
    queryFn: async ({ signal }) => await rest<Job>("GET", `/jobs/${original}`, undefined, signal),
  });
  return (
    <QueryResult query={query} rows={2}>
      {({ payload }) => <Differences before={payload} after={job.payload} label={words.detail.changesOf(original)} />}
    </QueryResult>
  );
}
