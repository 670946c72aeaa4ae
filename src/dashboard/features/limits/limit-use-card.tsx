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
        <div className="table-scroll" tabIndex={0} role="region" aria-label={words.usageOf(describeLimit(limit))}>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{limit.key ?? words.allJobs}</th>
                <th scope="col">{words.inUse}</th>
                <th scope="col" className="end">
                  {words.inLine}
                </th>
                {limit.kind === "rate" && <th scope="col">{words.nextSlot}</th>}
              </tr>
            </thead>
            <tbody>
              {use.map((row, index) => (
                <tr key={row.value === "[redacted]" ? index : (row.value ?? "")}>
                  <th scope="row" className="use-key">
                    {row.value === null ? words.total : row.value === "" ? <em>{words.noValue}</em> : row.value}
                  </th>
                  <td>
                    <Fill used={Number(row.inUse)} of={limit.max} />
                  </td>
                  <td className="end">{formatCount(row.waiting)}</td>
                  {limit.kind === "rate" && (
                    <td>{Number(row.inUse) >= limit.max ? <Time at={row.freesAt} absent={words.afterStart} /> : words.now}</td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {total > use.length && <p className="muted">{words.usageShown(use.length, total)}</p>}
    </section>
  );
}

/** A number and its maximum, as a bar and in figures. */
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
