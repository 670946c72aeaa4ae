import type { Json } from "../../../contract/rows.ts";
import type { limitUseSchema } from "../../../contract/queues.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "../../api/request.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { describeLimit, type Limit, routeOf, type Target } from "./limits.ts";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

type Use = Json<typeof limitUseSchema>;

/** The usage of each limit by the values of its key, longest lines first. */
export function LimitUseCard({ target, limits }: { target: Target; limits: readonly Limit[] }) {
  const query = useQuery({
    queryKey: ["limit-use", target.scope, target.name],
    queryFn: ({ signal }) => rest<{ items: Use[] }>("GET", routeOf(target, "/limits/use"), undefined, signal),
    enabled: limits.length > 0,
    refetchInterval: 3_000,
  });
  if (limits.length === 0) return null;
  return (
    <Card title={words.usage}>
      <QueryResult query={query} rows={3}>
        {({ items }) => (
          <>
            {limits.map((limit) => (
              <OneLimit
                key={`${limit.kind} ${limit.key ?? ""}`}
                limit={limit}
                use={items.filter(({ kind, key }) => kind === limit.kind && key === (limit.key ?? null))}
              />
            ))}
            {items.some(({ isPartial }) => isPartial) && <p className="limits-note muted">{words.usagePartial}</p>}
          </>
        )}
      </QueryResult>
    </Card>
  );
}

function OneLimit({ limit, use }: { limit: Limit; use: readonly Use[] }) {
  const total = Number(use[0]?.keyValues ?? 0);
  return (
    <section className="limit-use" aria-label={describeLimit(limit)}>
      <h3>{describeLimit(limit)}</h3>
      {use.length === 0 ? (
        <p className="muted">{words.idle}</p>
      ) : (
        <Table
          label={words.usageOf(describeLimit(limit))}
          rows={use.map((row, index) => ({ ...row, index }))}
          rowKey={({ value, index }) => (value === "[redacted]" ? String(index) : (value ?? ""))}
          columns={[
            {
              id: "key",
              head: limit.key ?? words.allJobs,
              kind: "name",
              render: ({ value }) => (value === null ? words.total : value === "" ? <em>{words.noValue}</em> : value),
            },
            { id: "use", head: words.inUse, render: ({ inUse }) => <Fill used={Number(inUse)} of={limit.max} /> },
            { id: "line", head: words.inLine, kind: "number", render: ({ waiting }) => formatCount(waiting) },
            limit.kind === "rate" && {
              id: "next",
              head: words.nextSlot,
              render: ({ inUse, freesAt }) =>
                Number(inUse) >= limit.max ? <Time at={freesAt} absent={words.afterStart} /> : words.now,
            },
          ]}
        />
      )}
      {total > use.length && <p className="muted">{words.usageShown(use.length, total)}</p>}
    </section>
  );
}

/** A number and its maximum, as a bar and as text. */
function Fill({ used, of }: { used: number; of: number }) {
  const share = Math.min(1, used / of);
  return (
    <span className="fill" data-full={used >= of ? "yes" : "no"}>
      <span className="progress" aria-hidden="true">
        <span style={{ width: `${share * 100}%` }} />
      </span>
      <span className="number">{common.of(formatCount(used), formatCount(of))}</span>
    </span>
  );
}
