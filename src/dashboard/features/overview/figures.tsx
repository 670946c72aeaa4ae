import { Link } from "wouter";
import { Duration } from "../../components/time/time.tsx";
import { formatCount } from "../../components/numbers.ts";
import { isFinite } from "../../components/time/format-times.ts";
import { useOverview } from "../../api/overview.ts";
import { Figure } from "../../components/page.tsx";
import type { QueueTotals } from "./queue-totals.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** The current counts of jobs and their rates. */
export function Figures({ live }: { live: QueueTotals | undefined }) {
  const { data: totals } = useOverview();
  const rate = (count: number | null | undefined): string =>
    count === null || count === undefined ? "–" : `${formatCount(count)}/s`;
  const hasRates = live?.endedPerSecond !== null && live?.endedPerSecond !== undefined;
  const failed = totals?.failed ?? "0";
  return (
    <dl className="figures overview-figures">
      <Figure
        label={common.running}
        value={formatCount(live?.running)}
        detail={totals !== undefined && totals.concurrency > 0 ? words.concurrency(totals.concurrency) : " "}
      />
      <Figure
        label={common.pending}
        value={formatCount(live?.pending)}
        detail={
          isFinite(live?.oldest) && live.pending > 0 ? (
            <Sentence text={words.oldest} slots={{ duration: <Duration from={live.oldest} /> }} />
          ) : (
            common.readyToStart
          )
        }
      />
      <Figure
        label={common.blockedOrPaused}
        value={live === undefined ? "–" : formatCount(live.blocked + live.paused)}
        detail={live === undefined ? " " : words.blockedAndPaused(live.blocked, live.paused)}
      />
      <Figure label={common.scheduled} value={formatCount(live?.later)} detail={common.dueLater} />
      {hasRates && (
        <Figure
          label={words.throughput}
          value={rate(live?.endedPerSecond)}
          detail={words.enqueuedRate(rate(live?.enqueuedPerSecond))}
        />
      )}
      {hasRates && (
        <Figure
          label={words.errors}
          value={rate(live?.failedAttemptsPerSecond)}
          tone={(live?.failedAttemptsPerSecond ?? 0) > 0 ? "warn" : undefined}
          detail={words.errorsDetail}
        />
      )}
      <Figure
        label={common.failed}
        value={failed === "0" ? formatCount(totals?.failed) : <Link href="/failed">{formatCount(failed)}</Link>}
        tone={failed === "0" ? undefined : "bad"}
        detail={words.canBeRetried}
      />
    </dl>
  );
}
