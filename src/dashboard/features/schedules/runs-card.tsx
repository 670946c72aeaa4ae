import { Link } from "wouter";
import { ExactTime } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { useRuns } from "./use-runs.ts";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** The outcomes of past occurrences, newest first. */
export function RunsCard({ name }: { name: string }) {
  const query = useRuns(name);
  const runs = query.data?.pages.flatMap(({ items }) => items);
  return (
    <Card title={words.outcomes}>
      {query.isError && <Failure error={query.error} retry={query.refetch} />}
      {runs === undefined && !query.isError && <Loading />}
      {runs?.length === 0 && <Empty title={words.noRuns} />}
      {runs !== undefined && runs.length > 0 && (
        <Table
          label={common.tableOf(words.outcomes)}
          rows={runs}
          rowKey={({ dueAt, state, jobId }) => `${dueAt} ${state} ${jobId}`}
          columns={[
            { id: "due", head: words.due, kind: "name", render: ({ dueAt }) => <ExactTime at={dueAt} /> },
            {
              id: "occurrence",
              head: words.occurrence,
              render: ({ state, occurrences, reason }) => (
                <>
                  {words.occurrences[state] ?? state}
                  {occurrences !== null && occurrences !== "1" && words.occurrenceCount(occurrences)}
                  {reason !== null && <CellDetail>{reason}</CellDetail>}
                </>
              ),
            },
            {
              id: "job",
              head: common.job,
              render: ({ jobId }) =>
                jobId === null ? <span className="muted">–</span> : <Link href={`/jobs/${jobId}`}>{jobId}</Link>,
            },
            {
              id: "outcome",
              head: words.outcome,
              render: ({ outcome }) => (outcome === null ? <span className="muted">–</span> : <State state={outcome} />),
            },
          ]}
        />
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
