import { useMay, useMe } from "../../api/me.ts";
import { useAlerts, useFailedGroups, useHealth } from "../../api/monitoring.ts";
import { useNow } from "../../components/time/clock.ts";
import { useOverview } from "../../api/overview.ts";
import { Empty } from "../../components/notice.tsx";
import { Page } from "../../components/page.tsx";
import { Attention } from "./attention.tsx";
import { Charts } from "./charts.tsx";
import { Figures } from "./figures.tsx";
import { useLiveOverview } from "./queue-counts.ts";
import type { QueueTotals } from "./queue-totals.ts";
import { Queues } from "./queue-summary.tsx";
import { judge } from "./verdict.ts";
import { WorkerSummary } from "./worker-summary.tsx";
import { words } from "./words.ts";
import "./overview.css";

/** The state of the system in one sentence; below it what needs attention, and recent activity. */
export default function OverviewPage() {
  const may = useMay("viewer");
  const me = useMe();
  if (me !== undefined && !may) {
    return (
      <Page title={words.title}>
        <Empty title={words.enqueueOnly}>{words.enqueueOnlyHint}</Empty>
      </Page>
    );
  }
  return <Overview />;
}

function Overview() {
  const everybody = useMay("viewer", { everybody: true });
  const { data: live } = useLiveOverview();
  return (
    <Page title={words.title}>
      <VerdictBanner live={live} />
      <Figures live={live} />
      {everybody && <Charts only="throughput" />}
      <Attention />
      <Queues />
      {everybody && <Charts only="latency" />}
      {everybody && <WorkerSummary />}
    </Page>
  );
}

/** The sentence about the state of the system, with a shape and a word in addition to its color. */
function VerdictBanner({ live }: { live: QueueTotals | undefined }) {
  const now = useNow(1_000);
  const me = useMe();
  const totals = useOverview();
  const health = useHealth();
  const alerts = useAlerts();
  const groups = useFailedGroups();
  const verdict = judge({
    live,
    health: health.data,
    isStopped: totals.data === undefined ? undefined : totals.data.stoppedAt !== null,
    failed: groups.data?.reduce((sum, { jobs }) => sum + BigInt(jobs), 0n),
    tenant: me?.tenant ?? null,
    now: live === undefined ? now : Date.parse(live.readAt),
  });
  const acknowledged = (alerts.data ?? []).filter(({ state }) => state === "acknowledged").length;

  return (
    <section className="verdict" data-status={verdict.status} aria-label={words.verdictLabel}>
      <p className="verdict-word" aria-hidden="true">
        <span className="verdict-shape" />
        {words.verdict[verdict.status]}
      </p>
      <div>
        <p className="verdict-sentence">
          {verdict.sentence}
          {verdict.more.length > 0 && <span className="muted">{words.moreReasons(verdict.more.length)}</span>}
        </p>
        {acknowledged > 0 && <p className="muted">{words.acknowledged(acknowledged)}</p>}
      </div>
    </section>
  );
}
