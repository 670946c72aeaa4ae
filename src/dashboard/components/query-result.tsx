import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { isPassing } from "../api/problem.ts";
import { useReach } from "../api/reach.ts";
import { Failure, Loading } from "./notice.tsx";

/**
 * The result of a query: a placeholder while it is loading, or an error if it failed. If a later request fails, the last result stays, with the error
 * above it.
 */
export function QueryResult<T>({
  query,
  rows,
  children,
}: {
  query: UseQueryResult<T>;
  rows?: number;
  children: (data: T) => ReactNode;
}) {
  const { isAway } = useReach();
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && <Failure error={query.error} retry={query.refetch} />}
        {children(query.data)}
      </>
    );
  }
  if (query.isError && !(isAway && isPassing(query.error))) return <Failure error={query.error} retry={query.refetch} />;
  return <Loading {...(rows === undefined ? {} : { rows })} />;
}
