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
import { words } from "./words.ts";
import "./alerts.css";

type View = keyof typeof words.views;

/** Open and resolved alerts, silences and alert rules. */
export default function AlertsPage() {
  const may = useMay("operator", { everybody: true });
  const [search, setSearch] = useSearchParams();
  const named = search.get("show") ?? "";
  const view: View = named in words.views ? (named as View) : "open";
  const open = useAlerts();
  const silences = useSilences();
  const [dialog, setDialog] = useState<"silence" | "rule">();
  const counts: Partial<Record<View, number | undefined>> = { open: open.data?.length, silences: silences.data?.length };
  return (
    <Page
      title={words.title}
      actions={
        may && (
          <>
            <Button icon={<BellOff aria-hidden="true" />} onClick={() => setDialog("silence")}>
              {words.silence}
            </Button>
            <Button icon={<Plus aria-hidden="true" />} onClick={() => setDialog("rule")}>
              {words.newRule}
            </Button>
          </>
        )
      }
    >
      <div className="tool-bar" role="group" aria-label={words.show}>
        {(Object.keys(words.views) as View[]).map((each) => (
          <Button
            key={each}
            kind="quiet"
            aria-pressed={each === view}
            onClick={() => setSearch(each === "open" ? {} : { show: each })}
          >
            {words.views[each]}
            {counts[each] !== undefined && <span className="number alerts-count">{formatCount(counts[each])}</span>}
          </Button>
        ))}
      </div>
      {view === "open" && (
        <Card>
          <QueryResult query={open}>
            {(alerts) =>
              alerts.length === 0 ? (
                <Empty title={words.noneOpen}>{words.noneOpenHint}</Empty>
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

/** How many of the latest alerts are searched for resolved ones. */
const LAST = 500;

function Resolved() {
  const query = useAlerts(true, LAST);
  return (
    <Card>
      <QueryResult query={query}>
        {(all) => {
          const alerts = all.filter(({ state }) => state === "resolved");
          if (alerts.length === 0) return <Empty title={words.noneResolved} />;
          return (
            <>
              <AlertTable alerts={alerts} />
              {all.length === LAST && <p className="alerts-rest muted">{words.resolvedLimit(LAST)}</p>}
            </>
          );
        }}
      </QueryResult>
    </Card>
  );
}
