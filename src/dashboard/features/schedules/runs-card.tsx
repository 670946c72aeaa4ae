import type { Json } from "../../../contract/rows.ts";
import type { scheduleRunSchema } from "../../../contract/schedules.ts";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { rest, withQuery } from "../../api/request.ts";

import { ExactTime } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { scheduleRoute } from "../../api/schedules.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

type Run = Json<typeof scheduleRunSchema>;

/** The outcomes of past occurrences, newest first. */
export function RunsCard({ name }: { name: string }) {
  const query = useInfiniteQuery({
    queryKey: ["schedule-runs", name],
    queryFn: ({ pageParam, signal }) =>
      rest<{ items: Run[]; nextCursor: string | null }>(
        "GET",
        withQuery(scheduleRoute(name, "/runs"), { limit: 20, cursor: pageParam }),
        undefined,
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextCursor }) => nextCursor,
    refetchInterval: 5_000,
  });
  const runs = query.data?.pages.flatMap(({ items }) => items);
  return (
    <Card title={words.outcomes}>
      {query.isError && <Failure error={query.error} retry={query.refetch} />}
      {runs === undefined && !query.isError && <Loading />}
      {runs?.length === 0 && <Empty title={words.noRuns} />}
      {runs !== undefined && runs.length > 0 && (
        <div className="table-scroll" tabIndex={0} role="region" aria-label={common.tableOf(words.outcomes)}>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{words.due}</th>
                <th scope="col">{words.occurrence}</th>
                <th scope="col">{common.job}</th>
                <th scope="col">{words.outcome}</th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <tr key={`${run.dueAt} ${run.state} ${run.jobId}`}>
                  <th scope="row">
                    <ExactTime at={run.dueAt} />
                  </th>
                  <td>
                    {words.occurrences[run.state] ?? run.state}
                    {run.occurrences !== null && run.occurrences !== "1" && words.occurrenceCount(run.occurrences)}
                    {run.reason !== null && <span className="cell-detail">{run.reason}</span>}
                  </td>
                  <td>
                    {run.jobId === null ? <span className="muted">–</span> : <Link href={`/jobs/${run.jobId}`}>{run.jobId}</Link>}
                  </td>
                  <td>{run.outcome === null ? <span className="muted">–</span> : <State state={run.outcome} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {query.hasNextPage && (
        <div className="card-body">
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {common.loadMore}
          </Button>
        </div>
      )}
    </Card>
  );
}
