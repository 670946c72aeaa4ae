import { BellOff, Plus } from "lucide-react";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { byUrgency, useAlerts } from "../../api/monitoring.ts";
import { formatCount } from "../../components/numbers.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { AlertTable } from "./alert-table.tsx";
import { useSilences } from "./alerts-api.ts";
import { RuleDialog } from "./rule-dialog.tsx";
import { Rules } from "./alert-rules.tsx";
import { SilenceDialog, Silences } from "./silences.tsx";
import "./alerts.css";

const VIEWS = { open: "Open", resolved: "Resolved", silences: "Silences", rules: "Rules" } as const;
type View = keyof typeof VIEWS;

/** What the alert rules found: who looks after it, whom it is kept from, what raises it. */
export default function AlertsPage() {
  const may = useMay("operator", { everybody: true });
  const [search, setSearch] = useSearchParams();
  const named = search.get("show") ?? "";
  const view: View = named in VIEWS ? (named as View) : "open";
  const open = useAlerts();
  const silences = useSilences();
  const [dialog, setDialog] = useState<"silence" | "rule">();
  const counts: Partial<Record<View, number | undefined>> = { open: open.data?.length, silences: silences.data?.length };
  return (
    <Page
      title="Alerts"
      actions={
        may && (
          <>
            <Button icon={<BellOff aria-hidden="true" />} onClick={() => setDialog("silence")}>
              Silence
            </Button>
            <Button icon={<Plus aria-hidden="true" />} onClick={() => setDialog("rule")}>
              New rule
            </Button>
          </>
        )
      }
    >
      <div className="tool-bar" role="group" aria-label="Shown">
        {(Object.keys(VIEWS) as View[]).map((each) => (
          <Button
            key={each}
            kind="quiet"
            aria-pressed={each === view}
            onClick={() => setSearch(each === "open" ? {} : { show: each })}
          >
            {VIEWS[each]}
            {counts[each] !== undefined && <span className="number alerts-count">{formatCount(counts[each])}</span>}
          </Button>
        ))}
      </div>
      {view === "open" && (
        <Card>
          <QueryResult query={open}>
            {(alerts) =>
              alerts.length === 0 ? (
                <Empty title="Nothing is wrong that a rule looks for.">
                  Rules are looked after every few seconds, as long as a worker or a server lives.
                </Empty>
              ) : (
                <AlertTable alerts={alerts.toSorted(byUrgency)} />
              )
            }
          </QueryResult>
        </Card>
      )}
      {view === "resolved" && <Resolved />}
      {view === "silences" && <Silences query={silences} />}
      {view === "rules" && <Rules />}
      {dialog === "silence" && <SilenceDialog onClose={() => setDialog(undefined)} />}
      {dialog === "rule" && <RuleDialog onClose={() => setDialog(undefined)} />}
    </Page>
  );
}

/** Alerts that the list of resolved ones goes back at most. */
const LAST = 500;

function Resolved() {
  const query = useAlerts(true, LAST);
  return (
    <Card>
      <QueryResult query={query}>
        {(all) => {
          const alerts = all.filter(({ state }) => state === "resolved");
          if (alerts.length === 0) return <Empty title="No alert was resolved yet." />;
          return (
            <>
              <AlertTable alerts={alerts} />
              {all.length === LAST && (
                <p className="alerts-rest muted">These are of the last {LAST} alerts; SQL has all: legwork.alerts.</p>
              )}
            </>
          );
        }}
      </QueryResult>
    </Card>
  );
}
