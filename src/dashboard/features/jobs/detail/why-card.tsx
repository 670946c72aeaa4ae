import { useQuery } from "@tanstack/react-query";
import { rest } from "../../../api/request.ts";
import { Card } from "../../../components/page.tsx";
import { QueryResult } from "../../../components/query-result.tsx";
import { type Reason, Reasons } from "./explain.tsx";
import { words } from "../words.ts";
import "./job.css";

/** How often the reasons are refetched (ms). */
const REFRESH_MS = 5_000;

/**
 * Explains why a schedule, queue, workflow or worker does not do what was expected. `of` is its route under /api/v1; `except` is a reason that the
 * page already shows elsewhere.
 */
export function WhyCard({ of: route, except }: { of: string; except?: string | undefined }) {
  const query = useQuery({
    queryKey: ["explain", route],
    queryFn: async ({ signal }) => (await rest<{ items: Reason[] }>("GET", `${route}/explain`, undefined, signal)).items,
    refetchInterval: REFRESH_MS,
  });
  return (
    <Card title={words.detail.status}>
      <QueryResult query={query} rows={2}>
        {(reasons) => <Reasons reasons={reasons.filter(({ reason }) => reason !== except)} />}
      </QueryResult>
    </Card>
  );
}
