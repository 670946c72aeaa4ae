import type { Json } from "../../../contract/rows.ts";
import type { auditPage } from "../../../contract/system.ts";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { rest, withQuery } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { AuditFilters, FILTERS, PERIODS } from "./audit-filters.tsx";
import { AuditTable } from "./audit-table.tsx";
import "./audit.css";

type Lines = Json<typeof auditPage>;

const PAGE_ROWS = 50;

/** Who did what to which job, queue, task, schedule or token, by which way, and what it was before and afterwards. */
export default function AuditPage() {
  const [search] = useSearchParams();
  const filter = Object.fromEntries(FILTERS.map((name) => [name, search.get(name) ?? ""]));
  const period = PERIODS[search.get("period") ?? ""]?.ms;
  const key = JSON.stringify(filter);
  // From when the page was opened, so that it is the same question each time it is drawn.
  const [openedAt] = useState(Date.now);
  const since = period === undefined ? undefined : new Date(openedAt - period).toISOString();
  const query = useInfiniteQuery({
    queryKey: ["audit", key, since],
    queryFn: ({ pageParam, signal }) =>
      rest<Lines>("GET", withQuery("/audit-log", { ...filter, since, limit: PAGE_ROWS, cursor: pageParam }), undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextCursor: next }) => next,
  });
  const lines = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const isFiltered = period !== undefined || Object.values(filter).some((value) => value !== "");
  return (
    <Page
      title="Audit log"
      lead="Whatever changed jobs, rules, tokens and settings, by whichever way. Enqueueing and reading are not in it."
    >
      <AuditFilters />
      <Card>
        {query.isError && <Failure error={query.error} retry={query.refetch} />}
        {query.isPending && <Loading rows={8} />}
        {query.isSuccess && lines.length === 0 && (
          <Empty title={isFiltered ? "Nothing that was done fits." : "Nothing was done yet."}>
            {isFiltered
              ? "Take a filter away, or look further back."
              : "What is done to jobs, queues, schedules and tokens will stand here."}
          </Empty>
        )}
        {lines.length > 0 && <AuditTable lines={lines} />}
        {query.hasNextPage && (
          <p className="audit-rest">
            <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              Older
            </Button>
          </p>
        )}
      </Card>
    </Page>
  );
}
