import { useConnection } from "../../api/subscribe.ts";
import { useMay, useMe } from "../../api/me.ts";
import { useAlerts, useFailedGroups, useHealth } from "../../api/monitoring.ts";
import { useNow } from "../../components/time/clock.ts";
import { ExactTime } from "../../components/time/time.tsx";
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
import "./overview.css";

/** Is everything well? In one look and one sentence; below it what is not, and what lately was. */
export default function OverviewPage() {
  const may = useMay("viewer");
  const me = useMe();
  if (me !== undefined && !may) {
    return (
      <Page title="Overview">
        <Empty title="This token enqueues jobs and reads nothing.">
          Whoever manages the tokens can make you one that reads: its role is viewer or operator.
        </Empty>
      </Page>
    );
  }
  return <Overview />;
}

function Overview() {
  const everybody = useMay("viewer", { everybody: true });
  const { data: live } = useLiveOverview();
  return (
    <Page title="Overview">
      <VerdictBanner live={live} />
      <Figures live={live} />
      <Attention />
      {everybody && <Charts />}
      <Queues />
      {everybody && <WorkerSummary />}
    </Page>
  );
}

/** The sentence, with a shape and a word beside its colour. */
function VerdictBanner({ live }: { live: QueueTotals | undefined }) {
  const now = useNow(1_000);
  const me = useMe();
  const connection = useConnection();
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
  const words = { ok: "Well", warning: "Look", critical: "Act", unknown: "…" };
  return (
    <section className="verdict" data-status={verdict.status} aria-label="How everything is">
      <p className="verdict-word" aria-hidden="true">
        <span className="verdict-shape" />
        {words[verdict.status]}
      </p>
      <div>
        <p className="verdict-sentence">{verdict.sentence}</p>
        {verdict.more.length > 0 && (
          <ul>
            {verdict.more.slice(0, 3).map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
            {verdict.more.length > 3 && <li>And {verdict.more.length - 3} more, below.</li>}
          </ul>
        )}
        {acknowledged > 0 && (
          <p className="muted">
            Somebody looks after {acknowledged} {acknowledged === 1 ? "alert" : "alerts"}.
          </p>
        )}
        {connection === "lost" && live !== undefined && (
          <p className="verdict-stale">
            The connection is lost; these numbers are of <ExactTime at={live.readAt} />. It is tried again by itself.
          </p>
        )}
      </div>
    </section>
  );
}
