import { CircleAlert, Inbox, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { Problem } from "../api/problem.ts";
import { Button } from "./button.tsx";

/** What went wrong, with its code and what to do. */
export function Failure({ error, retry }: { error: unknown; retry?: (() => unknown) | undefined }) {
  const problem = error instanceof Problem ? error : undefined;
  return (
    <div className="notice" data-kind="error" role="alert">
      <CircleAlert aria-hidden="true" />
      <div>
        <p>
          {error instanceof Error ? error.message : "Something went wrong."}
          {problem?.code.startsWith("LW") === true && <code className="code-badge">{problem.code}</code>}
        </p>
        {problem?.hint !== undefined && <p className="muted">{problem.hint}</p>}
        {problem !== undefined && problem.fields.length > 0 && (
          <ul>
            {problem.fields.map(({ field, message }) => (
              <li key={field + message}>
                <code>{field}</code> {message}
              </li>
            ))}
          </ul>
        )}
      </div>
      {retry !== undefined && (
        <Button kind="quiet" icon={<RotateCw aria-hidden="true" />} onClick={() => void retry()}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Nothing to show: why, and what would bring something. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Inbox aria-hidden="true" />
      <p>{title}</p>
      {children !== undefined && <div className="muted">{children}</div>}
    </div>
  );
}

/** The shape of what is coming, so that nothing jumps when it comes. */
export function Loading({ rows = 6, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="loading-row" />
      ))}
    </div>
  );
}
