import type { Json } from "../../../contract/rows.ts";
import type { loadPage } from "../../../contract/schedules.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "../../api/request.ts";
import { formatCount, formatShort } from "../../components/numbers.ts";
import { usePreferences } from "../../components/preferences.ts";
import { formatExact } from "../../components/time/format-times.ts";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

type Load = Json<typeof loadPage>;

/** How many jobs the schedules will enqueue in each of the next 24 hours. */
export function LoadCard() {
  const { zone } = usePreferences();
  const query = useQuery({
    queryKey: ["schedule-load"],
    queryFn: ({ signal }) => rest<Load>("GET", "/schedule-load", undefined, signal),
    refetchInterval: 60_000,
  });
  return (
    <Card title={words.nextDay}>
      <div className="card-body">
        <QueryResult query={query} rows={3}>
          {({ items, uncounted }) => {
            const total = items.reduce((sum, { jobs }) => sum + BigInt(jobs), 0n);
            const most = Math.max(1, ...items.map(({ jobs }) => Number(jobs)));
            return (
              <>
                <p className="muted">{words.load(total, most)}</p>
                <div className="load" aria-hidden="true">
                  {items.map(({ at, jobs, schedules }) => (
                    <span
                      key={at}
                      className="load-hour"
                      title={[
                        words.ofSchedule(clock(at, zone), formatCount(jobs)),
                        ...schedules.map((one) => words.ofSchedule(one.name, formatCount(one.jobs))),
                      ].join("\n")}
                    >
                      <span className="load-count">{jobs === "0" ? "" : formatShort(jobs)}</span>
                      <span
                        className="load-bar"
                        style={{ height: `${Math.max(jobs === "0" ? 0 : 2, (Number(jobs) / most) * 100)}%` }}
                      />
                      <span className="load-label">{clock(at, zone)}</span>
                    </span>
                  ))}
                </div>
                <details>
                  <summary>{common.showData}</summary>
                  <Table
                    label={common.tableOf(words.nextDay)}
                    rows={items}
                    rowKey={({ at }) => at}
                    columns={[
                      {
                        id: "hour",
                        head: words.hour,
                        kind: "name",
                        render: ({ at }) => formatExact(at, zone, { seconds: false }),
                      },
                      { id: "jobs", head: words.jobs, kind: "number", render: ({ jobs }) => formatCount(jobs) },
                      {
                        id: "schedules",
                        head: words.topSchedules,
                        kind: "long",
                        render: ({ schedules }) =>
                          schedules
                            .slice(0, 3)
                            .map((one) => words.ofSchedule(one.name, formatCount(one.jobs)))
                            .join(", "),
                      },
                    ]}
                  />
                </details>
                {uncounted.length > 0 && <p className="muted">{words.notCounted(uncounted)}</p>}
              </>
            );
          }}
        </QueryResult>
      </div>
    </Card>
  );
}

function clock(at: string, zone: "local" | "utc"): string {
  return new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(new Date(at));
}
