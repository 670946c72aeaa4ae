import type { Json as FromSchema } from "../../../../../contract/rows.ts";
import type { stepSchema } from "../../../../../contract/jobs.ts";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { rest } from "../../../../api/request.ts";
import { Json } from "../../../../components/json.tsx";
import { Sentence } from "../../../../components/sentence.tsx";
import { pageOf, type TimelineEntry } from "./entries.ts";
import { words } from "./words.ts";

type Step = FromSchema<typeof stepSchema>;

/** Everything that is known about an entry: the full error, the worker, the result of a step or the payload of a signal. */
export function EntryDetails({ entry, jobId }: { entry: TimelineEntry; jobId: string }) {
  const { kind, detail, actor, target } = entry;
  const page = pageOf(entry);
  const hasResult = kind === "step" || kind === "signal";
  const { data } = useQuery({
    queryKey: ["job steps", jobId],
    enabled: hasResult,
    queryFn: async ({ signal }) => (await rest<{ items: Step[] }>("GET", `/jobs/${jobId}/steps`, undefined, signal)).items,
  });
  const step = data?.find(
    (one) =>
      one.kind === (kind === "step" ? "run" : "wait") &&
      one.startedAt === entry.startedAt &&
      entry.label.includes(`'${one.name}'`),
  );
  const isEmpty = detail === null && page === undefined && actor === null && (step === undefined || step.result === null);
  return (
    <div className="waterfall-more">
      <p className="muted">{words.kinds[kind]}</p>
      {detail !== null && <p>{detail}</p>}
      {actor !== null && kind === "attempt" && (
        <p>
          <Sentence
            text={words.on}
            slots={{ worker: <Link href={`/workers?worker=${encodeURIComponent(target ?? "")}`}>{actor}</Link> }}
          />
        </p>
      )}
      {page !== undefined && (
        <p>
          <Link href={page}>{`${entry.targetType} ${target}`}</Link>
        </p>
      )}
      {step !== undefined && step.result !== null && <Json value={step.result} label={words.stepResult} />}
      {isEmpty && <p className="muted">{words.none}</p>}
    </div>
  );
}
