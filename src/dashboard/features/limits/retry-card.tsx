import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { toDurationText } from "../../components/time/format-intervals.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { describeRetry, type RetryPolicy, type Target } from "./limits.ts";
import { useMayRule, useRuleChange } from "./use-limit-change.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** The retry policy in words, with buttons to set or remove an override. */
export function RetryCard({ target, policy }: { target: Target; policy: RetryPolicy | null }) {
  const may = useMayRule();
  const [isOpen, setOpen] = useState(false);
  const drop = useRuleChange(target);
  return (
    <Card
      title={words.retryPolicy}
      actions={
        may && (
          <div className="tool-bar">
            <Button
              kind="quiet"
              icon={<Pencil aria-hidden="true" />}
              aria-label={words.editRetryPolicy}
              onClick={() => setOpen(true)}
            >
              {common.edit}
            </Button>
            {policy !== null && (
              <Button
                kind="quiet"
                icon={<Trash2 aria-hidden="true" />}
                busy={drop.isPending}
                aria-label={words.removeOverride}
                title={words.removeOverride}
                onClick={() =>
                  drop.mutate({
                    method: "DELETE",
                    path: "/retry-policy",
                    done: words.overrideRemoved(target),
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
        <p className="muted">{target.scope === "queue" ? words.queuePolicyScope : words.taskPolicyScope}</p>
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
      title={words.retryPolicyOf(target)}
      submit={common.save}
      onClose={onClose}
      onSubmit={() =>
        put.mutate({
          method: "PUT",
          path: "/retry-policy",
          body,
          done: words.policySaved(target),
        })
      }
      busy={put.isPending}
      error={put.error}
    >
      <p className="muted">{words.policyTakesEffect}</p>
      <Field label={words.maxAttempts} hint={words.maxAttemptsHint}>
        <input type="number" min={1} max={32_767} value={attempts} onChange={(event) => setAttempts(event.target.value)} />
      </Field>
      <Field label={words.backoff}>
        <select value={backoff} onChange={(event) => setBackoff(event.target.value)}>
          {Object.entries(words.backoffs).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      {backoff !== "" && (
        <div className="field-row">
          <Field label={words.initialDelay} hint={common.durationHint}>
            <input value={delay} placeholder={words.initialDelayExample} onChange={(event) => setDelay(event.target.value)} />
          </Field>
          {backoff === "exponential" && (
            <Field label={words.factor} hint={words.factorHint}>
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
          <Field label={words.maxDelay} hint={words.maxDelayHint}>
            <input value={maxDelay} onChange={(event) => setMaxDelay(event.target.value)} />
          </Field>
        </div>
      )}
      <label className="check">
        <input type="checkbox" checked={jitter} onChange={(event) => setJitter(event.target.checked)} />
        {words.jitter}
      </label>
      <Field label={words.onlyFor} hint={words.onlyForHint}>
        <input value={on} placeholder={words.onlyForExample} onChange={(event) => setOn(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
