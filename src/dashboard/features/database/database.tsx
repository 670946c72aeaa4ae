import type { Json as JsonOf } from "../../../contract/rows.ts";
import type { findingSchema } from "../../../contract/system.ts";
import { useQuery } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { rest } from "../../api/request.ts";
import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { CopyButton, Json } from "../../components/json.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { Status } from "../../components/state-badge.tsx";
import "./database.css";

/** A row of GET /doctor. */
type Finding = JsonOf<typeof findingSchema>;

/** What the doctor finds: what is wrong with the database and the job system in it, and what to do about each. */
export default function DatabasePage() {
  const query = useQuery({
    queryKey: ["doctor"],
    queryFn: async ({ signal }) => (await rest<{ items: Finding[] }>("GET", "/doctor", undefined, signal)).items,
    staleTime: 30_000,
  });
  return (
    <Page
      title="Database"
      lead={
        query.dataUpdatedAt === 0 ? (
          "Looking …"
        ) : (
          <>
            Looked at <Time at={new Date(query.dataUpdatedAt).toISOString()} />. <code>legwork doctor</code> says the same on the
            command line.
          </>
        )
      }
      actions={
        <Button icon={<RotateCw aria-hidden="true" />} busy={query.isFetching} onClick={() => void query.refetch()}>
          Look again
        </Button>
      }
    >
      <QueryResult query={query}>
        {(findings) => {
          const ill = findings.filter(({ severity }) => severity !== "ok");
          const well = findings.filter(({ severity }) => severity === "ok");
          return (
            <>
              <p className="doctor-sentence" role="status">
                {sentence(findings)}
              </p>
              {ill.length > 0 && <Findings title="What to do" findings={ill} />}
              {well.length > 0 && <Findings title="What is well" findings={well} />}
            </>
          );
        }}
      </QueryResult>
    </Page>
  );
}

function sentence(findings: readonly Finding[]): string {
  const critical = findings.filter(({ severity }) => severity === "critical").length;
  const warnings = findings.filter(({ severity }) => severity === "warning").length;
  const checks = `${findings.length} ${findings.length === 1 ? "thing was" : "things were"} looked at`;
  if (critical + warnings === 0) return `All is well: ${checks}.`;
  const parts = [
    ...(critical > 0 ? [`${critical} ${critical === 1 ? "is" : "are"} critical`] : []),
    ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? "is a warning" : "are warnings"}`] : []),
  ];
  return `${checks}: ${parts.join(", ")}.`;
}

function Findings({ title, findings }: { title: string; findings: readonly Finding[] }) {
  return (
    <Card title={title}>
      <ul className="doctor">
        {findings.map((finding) => (
          <li key={finding.check + finding.finding}>
            <div className="doctor-head">
              <Status status={finding.severity} />
              <code>{finding.check}</code>
            </div>
            <div className="doctor-body">
              <p>{finding.finding}</p>
              {finding.severity !== "ok" && finding.fix !== null && (
                <div className="doctor-fix">
                  <p>{finding.fix}</p>
                  <CopyButton text={finding.fix} label={`Copy what to do about ${finding.check}`} />
                </div>
              )}
              {finding.detail !== null && finding.detail !== undefined && (
                <details>
                  <summary>Detail</summary>
                  <Json value={finding.detail} label={`Detail of ${finding.check}`} />
                </details>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
