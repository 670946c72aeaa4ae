import { Link } from "wouter";
import { Duration } from "../../components/time/time.tsx";
import { formatCount } from "../../components/numbers.ts";
import { isFinite } from "../../components/time/format-times.ts";
import { useOverview } from "../../api/overview.ts";
import { Figure } from "../../components/page.tsx";
import type { QueueTotals } from "./queue-totals.ts";

/** What runs, waits, comes and goes at this moment. */
export function Figures({ live }: { live: QueueTotals | undefined }) {
  const { data: totals } = useOverview();
  const rate = (count: number | null | undefined): string =>
    count === null || count === undefined ? "–" : `${formatCount(count)}/s`;
  const hasRates = live?.endedPerSecond !== null && live?.endedPerSecond !== undefined;
  const failed = totals?.failed ?? "0";
  return (
    <dl className="figures overview-figures">
      <Figure
        label="Running"
        value={formatCount(live?.running)}
        detail={totals !== undefined && totals.concurrency > 0 ? `of ${formatCount(totals.concurrency)} at a time` : " "}
      />
      <Figure
        label="Waiting"
        value={formatCount(live?.pending)}
        detail={
          isFinite(live?.oldest) && live.pending > 0 ? (
            <>
              longest for <Duration from={live.oldest} />
            </>
          ) : (
            "may start now"
          )
        }
      />
      <Figure
        label="Held back"
        value={live === undefined ? "–" : formatCount(live.blocked + live.paused)}
        detail={live === undefined ? " " : `${formatCount(live.blocked)} by limits, ${formatCount(live.paused)} paused`}
      />
      <Figure label="Later" value={formatCount(live?.later)} detail="their time is ahead" />
      {hasRates && (
        <Figure label="Ending" value={rate(live?.endedPerSecond)} detail={`${rate(live?.enqueuedPerSecond)} enqueued`} />
      )}
      {hasRates && (
        <Figure
          label="Failing attempts"
          value={rate(live?.failedAttemptsPerSecond)}
          tone={(live?.failedAttemptsPerSecond ?? 0) > 0 ? "warn" : undefined}
          detail="over ten seconds"
        />
      )}
      <Figure
        label="Failed"
        value={failed === "0" ? formatCount(totals?.failed) : <Link href="/failed">{formatCount(failed)}</Link>}
        tone={failed === "0" ? undefined : "bad"}
        detail="can be retried"
      />
    </dl>
  );
}
