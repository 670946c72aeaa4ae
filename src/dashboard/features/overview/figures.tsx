import type { ReactNode } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import { useOverview } from "../../api/overview.ts";
import { type SeriesInterval, useSeries } from "../../api/series.ts";
import { Sparkline } from "../../components/chart/sparkline.tsx";
import { formatCount } from "../../components/numbers.ts";
import { Sentence } from "../../components/sentence.tsx";
import { isFinite } from "../../components/time/format-times.ts";
import { Duration } from "../../components/time/time.tsx";
import { common } from "../../components/words.ts";
import { jobsPath } from "../../router/links.ts";
import type { QueueTotals } from "./queue-totals.ts";
import { words } from "./words.ts";

/** The current state in four numbers, each with its trend over the last hour and a link to its jobs. */
export function Figures({ live }: { live: QueueTotals | undefined }) {
  const { data: totals } = useOverview();
  // Rates and trends cover all tenants together.
  const everybody = useMay("viewer", { everybody: true });
  const series = useSeries({ period: "1h" });
  const trend = (value: (interval: SeriesInterval) => string | null): (number | null)[] =>
    (series.data ?? []).filter(({ isWhole }) => isWhole).map((interval) => asNumber(value(interval)));
  // The rate of the last seconds is not known at first, and less than one job per second would be shown as 0.
  const isSlow = (live?.endedPerSecond ?? 0) === 0;
  const minute = series.data?.findLast(({ isWhole, seconds }) => isWhole && seconds === 60);
  const ended = minute && Number(minute.completed) + Number(minute.failed);
  const failed = totals?.failed ?? "0";
  const held = live === undefined ? 0 : live.blocked + live.paused;
  return (
    <dl className="figures overview-figures">
      <Tile
        label={common.running}
        href={jobsPath({ state: "running" })}
        value={formatCount(live?.running)}
        detail={totals !== undefined && totals.concurrency > 0 ? words.concurrency(totals.concurrency) : ""}
        trend={trend(({ running }) => running)}
        color="--state-running"
      />
      <Tile
        label={words.waiting}
        href={jobsPath({ state: "pending" })}
        value={live === undefined ? "–" : formatCount(live.pending + held)}
        detail={
          live === undefined ? (
            ""
          ) : (
            <>
              {isFinite(live.oldest) && live.pending > 0 ? (
                <>
                  <Sentence text={words.oldest} slots={{ duration: <Duration from={live.oldest} /> }} />
                  {words.also(live.blocked, live.paused, live.later)}
                </>
              ) : (
                words.waitingDetail(live.blocked, live.paused, live.later)
              )}
            </>
          )
        }
        trend={trend(({ pending, held: kept }) => (pending === null ? null : String(Number(pending) + Number(kept))))}
        color="--state-scheduled"
      />
      {everybody && (
        <Tile
          label={words.throughput}
          href={jobsPath({ state: "completed" })}
          value={isSlow && ended !== undefined ? words.perMinute(formatCount(ended)) : perSecond(live?.endedPerSecond)}
          detail={
            live === undefined || live.enqueuedPerSecond === null ? "" : words.enqueuedRate(perSecond(live.enqueuedPerSecond))
          }
          trend={trend(({ completed }) => completed)}
          color="--accent"
        />
      )}
      <Tile
        label={common.failed}
        href="/failed"
        value={formatCount(totals?.failed)}
        tone={failed === "0" ? undefined : "bad"}
        detail={
          (live?.failedAttemptsPerSecond ?? 0) > 0
            ? words.errorRate(perSecond(live?.failedAttemptsPerSecond))
            : words.canBeRetried
        }
        trend={trend(({ failedAttempts }) => failedAttempts)}
        color="--bad"
      />
    </dl>
  );
}

function Tile({
  label,
  href,
  value,
  detail,
  trend,
  color,
  tone,
}: {
  label: string;
  href: string;
  value: string;
  detail: ReactNode;
  trend: readonly (number | null)[];
  color: string;
  tone?: "bad" | undefined;
}) {
  return (
    <div className="figure" data-tone={tone}>
      <dt>
        <Link href={href} className="plain overview-tile">
          {label}
        </Link>
      </dt>
      <dd>{value}</dd>
      <dd className="figure-detail">{detail === "" ? "\u00a0" : detail}</dd>
      <dd className="overview-trend">
        <Sparkline values={trend} color={color} />
      </dd>
    </div>
  );
}

function asNumber(count: string | null): number | null {
  return count === null ? null : Number(count);
}

function perSecond(count: number | null | undefined): string {
  return count === null || count === undefined ? "–" : `${formatCount(count)}/s`;
}
