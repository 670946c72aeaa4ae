import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { toDurationText } from "../../components/time/format-intervals.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { describeRetry, DURATION_HINT, type RetryPolicy, type Target } from "./limits.ts";
import { useMayRule, useRuleChange } from "./use-limit-change.ts";

/** How jobs are retried, in words; set by hand or taken back to what holds without that. */
export function RetryCard({ target, policy }: { target: Target; policy: RetryPolicy | null }) {
  const may = useMayRule();
  const [isOpen, setOpen] = useState(false);
  const drop = useRuleChange(target);
  return (
    <Card
      title="Retries"
      actions={
        may && (
          <div className="tool-bar">
            <Button
              kind="quiet"
              icon={<Pencil aria-hidden="true" />}
              aria-label="Change how jobs are retried"
              onClick={() => setOpen(true)}
            >
              Change
            </Button>
            {policy !== null && (
              <Button
                kind="quiet"
                icon={<Trash2 aria-hidden="true" />}
                busy={drop.isPending}
                aria-label="Take away what was set by hand"
                title="Take away what was set by hand"
                onClick={() =>
                  drop.mutate({
                    method: "DELETE",
                    path: "/retry-policy",
                    done: `What was set by hand for ${target.name} is gone.`,
                  })
                }
              />
            )}
          </div>
        )
      }
    >
      <div className="card-body">
        <p>{describeRetry(policy)}</p>
        <p className="muted">
          {target.scope === "queue"
            ? "For its tasks that say nothing of their own."
            : "What was set by hand counts first, then the task's definition, then its queue."}
        </p>
      </div>
      {drop.isError && <Failure error={drop.error} />}
      {isOpen && <RetryDialog target={target} policy={policy} onClose={() => setOpen(false)} />}
    </Card>
  );
}

function RetryDialog({ target, policy, onClose }: { target: Target; policy: RetryPolicy | null; onClose: () => void }) {
  const [attempts, setAttempts] = useState(policy?.attempts === null ? "" : String(policy?.attempts ?? ""));
  const [backoff, setBackoff] = useState<string>(policy?.backoff ?? "");
  const [delay, setDelay] = useState(toDurationText(policy?.delay));
  const [factor, setFactor] = useState(policy?.factor === null ? "" : String(policy?.factor ?? ""));
  const [maxDelay, setMaxDelay] = useState(toDurationText(policy?.maxDelay));
  const [jitter, setJitter] = useState(policy?.jitter === true);
  const [on, setOn] = useState((policy?.on ?? []).join(", "));
  const put = useRuleChange(target, onClose);
  const names = on
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const body = {
    ...(attempts === "" ? {} : { attempts: Number(attempts) }),
    ...(backoff === "" ? {} : { backoff }),
    ...(backoff === "" || delay === "" ? {} : { delay }),
    ...(backoff === "exponential" && factor !== "" ? { factor: Number(factor) } : {}),
    ...(backoff === "" || maxDelay === "" ? {} : { maxDelay }),
    ...(jitter ? { jitter } : {}),
    ...(names.length === 0 ? {} : { on: names }),
  };
  return (
    <FormDialog
      title={`Retries of the ${target.scope} ${target.name}`}
      submit="Save"
      onClose={onClose}
      onSubmit={() =>
        put.mutate({
          method: "PUT",
          path: "/retry-policy",
          body,
          done: `Jobs of ${target.name} are retried that way from now on.`,
        })
      }
      busy={put.isPending}
      error={put.error}
    >
      <p className="muted">It holds from the next failure on, also for jobs that wait already.</p>
      <Field label="Attempts in all" hint="For jobs enqueued without a number of their own; 25 where nothing is said.">
        <input type="number" min={1} max={32_767} value={attempts} onChange={(event) => setAttempts(event.target.value)} />
      </Field>
      <Field label="Delay before the next attempt">
        <select value={backoff} onChange={(event) => setBackoff(event.target.value)}>
          <option value="">graphile-worker's own</option>
          <option value="fixed">the same each time</option>
          <option value="linear">as much longer each time</option>
          <option value="exponential">a multiple each time</option>
        </select>
      </Field>
      {backoff !== "" && (
        <div className="field-row">
          <Field label="After the first" hint={DURATION_HINT}>
            <input value={delay} placeholder="1s" onChange={(event) => setDelay(event.target.value)} />
          </Field>
          {backoff === "exponential" && (
            <Field label="Times" hint="2 by default.">
              <input
                type="number"
                min={1}
                max={1_000}
                step="any"
                value={factor}
                placeholder="2"
                onChange={(event) => setFactor(event.target.value)}
              />
            </Field>
          )}
          <Field label="At most" hint="No bound by default.">
            <input value={maxDelay} onChange={(event) => setMaxDelay(event.target.value)} />
          </Field>
        </div>
      )}
      <label className="check">
        <input type="checkbox" checked={jitter} onChange={(event) => setJitter(event.target.checked)} />
        Take away up to half of it at random
      </label>
      <Field label="Only for these errors" hint="Names, codes or classes with commas between; all where nothing is said.">
        <input value={on} placeholder="ECONNREFUSED, TimeoutError" onChange={(event) => setOn(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
