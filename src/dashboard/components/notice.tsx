import { CircleAlert, Inbox, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { isPassing, Problem } from "../api/problem.ts";
import { useReach } from "../api/reach.ts";
import { Button } from "./button.tsx";
import { common } from "./words.ts";

/**
 * An error with its code, its hint and the invalid fields. Renders nothing for a request that is repeated automatically (one with `retry`) while the
 * server is unreachable, because the banner of the page already says so.
 */
export function Failure({ error, retry }: { error: unknown; retry?: (() => unknown) | undefined }) {
  const { isAway } = useReach();
  const problem = error instanceof Problem ? error : undefined;
  if (isAway && retry !== undefined && isPassing(error)) return null;
  return (
    <div className="notice" data-kind="error" role="alert">
      <CircleAlert aria-hidden="true" />
      <div>
        <p>
          {error instanceof Error ? error.message : common.somethingWrong}
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
          {common.tryAgain}
        </Button>
      )}
    </div>
  );
}

/** An empty list: why it is empty, and how to fill it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Inbox aria-hidden="true" />
      <p>{title}</p>
      {children !== undefined && <div className="muted">{children}</div>}
    </div>
  );
}

/** A placeholder with the shape of the content, so that nothing moves when the content arrives. */
export function Loading({ rows = 6, label = common.loading }: { rows?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="loading-row" />
      ))}
    </div>
  );
}
