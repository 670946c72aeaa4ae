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
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./audit.css";

type Lines = Json<typeof auditPage>;

const PAGE_ROWS = 50;

/** The audit log: who changed jobs, queues, tasks, schedules or tokens, through which surface, and what changed. */
export default function AuditPage() {
  const [search] = useSearchParams();
  const filter = Object.fromEntries(FILTERS.map((name) => [name, search.get(name) ?? ""]));
  const period = PERIODS[search.get("period") ?? ""];
  const key = JSON.stringify(filter);
  // Periods are relative to the time when the page was opened, so that the query key does not change with every render.
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
    <Page title={words.title} lead={words.lead}>
      <AuditFilters />
      <Card>
        {query.isError && <Failure error={query.error} retry={query.refetch} />}
        {query.isPending && <Loading rows={8} />}
        {query.isSuccess && lines.length === 0 && (
          <Empty title={isFiltered ? words.noMatches : words.none}>{isFiltered ? words.noMatchesHint : words.noneHint}</Empty>
        )}
        {lines.length > 0 && <AuditTable lines={lines} />}
        {query.hasNextPage && (
          <p className="audit-rest">
            <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {common.loadMore}
            </Button>
          </p>
        )}
      </Card>
    </Page>
  );
}
