import type { Json as JsonOf } from "../../../contract/rows.ts";
import type { auditLineSchema } from "../../../contract/system.ts";
import { ChevronDown, ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { ExactTime } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Json } from "../../components/json.tsx";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** A row of GET /audit-log. */
export type AuditLine = JsonOf<typeof auditLineSchema>;

/** Entries of the audit log. Each can be expanded to show its changes. */
export function AuditTable({ lines }: { lines: readonly AuditLine[] }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  function toggle(id: string): void {
    setOpen((old) => (old.has(id) ? new Set([...old].filter((each) => each !== id)) : new Set([...old, id])));
  }
  return (
    <Table
      label={common.tableOf(words.title)}
      corner
      rows={lines}
      rowKey={({ id }) => id}
      renderBelow={(line) => (open.has(line.id) ? <Change line={line} /> : undefined)}
      columns={[
        { id: "time", head: common.time, render: ({ occurredAt }) => <ExactTime at={occurredAt} /> },
        {
          id: "actor",
          head: words.actor,
          render: ({ actor, databaseRole }) => (
            <>
              {actor ?? databaseRole}
              {actor !== null && actor !== databaseRole && <CellDetail title={words.login}>{databaseRole}</CellDetail>}
            </>
          ),
        },
        { id: "via", head: words.via, render: ({ surface }) => surface },
        { id: "action", head: words.action, kind: "name", render: ({ operation }) => operation },
        {
          id: "target",
          head: words.target,
          render: (line) => (
            <>
              <Target line={line} />
              {line.tenant !== null && <span className="muted">{words.ofTenant(line.tenant)}</span>}
            </>
          ),
        },
        {
          id: "change",
          head: words.change,
          render: (line) => {
            if (line.before === null && line.after === null) return <span className="muted">–</span>;
            const isOpen = open.has(line.id);
            return (
              <Button
                kind="quiet"
                aria-expanded={isOpen}
                aria-label={words.showChange(summary(line), line.id)}
                icon={isOpen ? <ChevronDown aria-hidden="true" /> : <ChevronRight aria-hidden="true" />}
                onClick={() => toggle(line.id)}
              >
                {summary(line)}
              </Button>
            );
          },
        },
      ]}
    />
  );
}

const PAGES: Readonly<Record<string, string>> = {
  job: "jobs",
  queue: "queues",
  task: "tasks",
  schedule: "schedules",
  workflow: "workflows",
};

function Target({ line: { targetType: type, target, count, before, after } }: { line: AuditLine }) {
  const page = PAGES[type];
  if (type === "all") return <>{words.allTargets}</>;
  if (target === null) return count === null ? <>{type}</> : words.bulkTarget(count, type);
  return (
    <>
      <span className="muted">{type}</span>{" "}
      {page === undefined ? (
        <span title={target}>{named(type, after) ?? named(type, before) ?? target}</span>
      ) : (
        <Link href={`/${page}/${encodeURIComponent(target)}`}>{target}</Link>
      )}
    </>
  );
}

/** Tokens are shown by name, not by id. */
function named(type: string, row: unknown): string | undefined {
  return type === "token" && isRecord(row) && typeof row.name === "string" ? row.name : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The changed fields, or all fields if the target was created or removed. */
function changes({ before, after }: AuditLine): [name: string, before: unknown, after: unknown][] {
  const [old, now] = [isRecord(before) ? before : {}, isRecord(after) ? after : {}];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]))
    .map((name) => [name, old[name], now[name]]);
}

function summary(line: AuditLine): string {
  if (line.before === null) return words.created;
  if (line.after === null) return words.removed;
  const names = changes(line).map(([name]) => name);
  if (names.length === 0) return words.noChange;
  return words.changed(names.slice(0, 2), names.length - 2);
}

function Change({ line }: { line: AuditLine }) {
  const changed = changes(line);
  return (
    <div className="audit-detail">
      {changed.length > 0 && (
        <Table
          label={words.changesOf(line.id)}
          rows={changed}
          rowKey={([name]) => name}
          columns={[
            { id: "field", head: words.field, kind: "name", render: ([name]) => name },
            { id: "before", head: words.before, kind: "long", render: ([, before]) => shown(before) },
            { id: "after", head: words.after, kind: "long", render: ([, , after]) => shown(after) },
          ]}
        />
      )}
      <details>
        <summary>{words.rawEntry}</summary>
        <Json value={line} label={words.entry(line.id)} />
      </details>
    </div>
  );
}

function shown(value: unknown): ReactNode {
  if (value === undefined) return <span className="muted">{words.notSet}</span>;
  return <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>;
}
