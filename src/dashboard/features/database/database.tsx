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
import { Sentence } from "../../components/sentence.tsx";
import { words } from "./words.ts";
import "./database.css";

/** A row of GET /doctor. */
type Finding = JsonOf<typeof findingSchema>;

/** The findings of the doctor about the database and the job system in it, each with its fix. */
export default function DatabasePage() {
  const query = useQuery({
    queryKey: ["doctor"],
    queryFn: async ({ signal }) => (await rest<{ items: Finding[] }>("GET", "/doctor", undefined, signal)).items,
    staleTime: 30_000,
  });
  return (
    <Page
      title={words.title}
      lead={
        query.dataUpdatedAt === 0 ? (
          words.checking
        ) : (
          <Sentence
            text={words.checkedAt}
            slots={{
              at: <Time at={new Date(query.dataUpdatedAt).toISOString()} />,
              command: <code>legwork doctor</code>,
            }}
          />
        )
      }
      actions={
        <Button icon={<RotateCw aria-hidden="true" />} busy={query.isFetching} onClick={() => void query.refetch()}>
          {words.checkAgain}
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
              {ill.length > 0 && (
                <Card title={words.fixes}>
                  <Findings findings={ill} />
                </Card>
              )}
              {well.length > 0 && (
                <details className="card doctor-passed">
                  <summary>{words.passed(well.length)}</summary>
                  <Findings findings={well} />
                </details>
              )}
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
  if (critical + warnings === 0) return words.allPassed(findings.length);
  return words.found(findings.length, critical, warnings);
}

function Findings({ findings }: { findings: readonly Finding[] }) {
  return (
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
                <CopyButton text={finding.fix} label={words.copyFix(finding.check)} />
              </div>
            )}
            {finding.detail !== null && finding.detail !== undefined && (
              <details>
                <summary>{words.details}</summary>
                <Json value={finding.detail} label={words.detailsOf(finding.check)} />
              </details>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}
