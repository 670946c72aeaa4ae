import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Failure, Loading } from "./notice.tsx";

/**
 * What a query brought; before that the shape of it, and what went wrong where it failed. What was there stays while a newer answer fails
 * to come, with the failure above it.
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
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && <Failure error={query.error} retry={query.refetch} />}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <Failure error={query.error} retry={query.refetch} />;
  return <Loading {...(rows === undefined ? {} : { rows })} />;
}
