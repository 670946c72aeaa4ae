import { Pencil, Plus, RotateCcw, Trash2 } from "lucide-react";
import { type FormEvent, type KeyboardEvent, type ReactNode, useState } from "react";
import { withQuery } from "../../api/request.ts";
import { formatInterval, toDurationText } from "../../components/time/format-intervals.ts";
import { formatCount } from "../../components/numbers.ts";
import { Button } from "../../components/button.tsx";
import { Empty, Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { describeLimit, type Limit, type Target } from "./limits.ts";
import { useMayRule, useRuleChange } from "./use-limit-change.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

const keyOf = ({ kind, key = "" }: Limit): string => `${kind} ${key}`;

/** The limits of a queue or a task, edited in place. */
export function LimitsCard({ target, limits, note }: { target: Target; limits: readonly Limit[]; note?: ReactNode }) {
  const may = useMayRule();
  const [editing, setEditing] = useState<string>();
  const reset = useRuleChange(target);
  return (
    <Card
      title={common.limits}
      actions={
        may && (
          <div className="tool-bar">
            {target.scope === "task" && (
              <Button
                kind="quiet"
                icon={<RotateCcw aria-hidden="true" />}
                busy={reset.isPending}
                title={words.resetLimitsHint}
                onClick={() =>
                  reset.mutate({
                    method: "POST",
                    path: "/limits/reset",
                    done: words.limitsReset(target.name),
                  })
                }
              >
                {words.resetLimits}
              </Button>
            )}
            <Button
              kind="quiet"
              icon={<Plus aria-hidden="true" />}
              disabled={editing === "new"}
              onClick={() => setEditing("new")}
            >
              {words.addLimit}
            </Button>
          </div>
        )
      }
    >
      {reset.isError && <Failure error={reset.error} />}
      {limits.length === 0 && editing !== "new" && <Empty title={words.noLimits}>{words.noLimitsHint}</Empty>}
      {(limits.length > 0 || editing === "new") && (
        <div className="limits" role="list">
          {limits.map((limit) =>
            editing === keyOf(limit) ? (
              <LimitForm key={keyOf(limit)} target={target} limit={limit} onDone={() => setEditing(undefined)} />
            ) : (
              <LimitLine
                key={keyOf(limit)}
                target={target}
                limit={limit}
                onEdit={may ? () => setEditing(keyOf(limit)) : undefined}
              />
            ),
          )}
          {editing === "new" && <LimitForm target={target} limit={undefined} onDone={() => setEditing(undefined)} />}
        </div>
      )}
      {note !== undefined && <p className="limits-note muted">{note}</p>}
    </Card>
  );
}

function LimitLine({ target, limit, onEdit }: { target: Target; limit: Limit; onEdit: (() => void) | undefined }) {
  const drop = useRuleChange(target);
  const put = useRuleChange(target);
  const { kind, max, per, key } = limit;
  return (
    <div className="limit" role="listitem">
      <p>
        <strong className="number">{formatCount(max)}</strong>{" "}
        {kind === "concurrency" ? words.concurrent : words.per(formatInterval(per))}
        {key !== undefined && (
          <>
            {" "}
            <Sentence text={words.perKey} slots={{ key: <code>{key}</code> }} />
          </>
        )}
      </p>
      {onEdit !== undefined && (
        <div className="tool-bar">
          <Button
            kind="quiet"
            icon={<Pencil aria-hidden="true" />}
            aria-label={words.editLimit(describeLimit(limit))}
            onClick={onEdit}
          />
          <Button
            kind="quiet"
            icon={<Trash2 aria-hidden="true" />}
            aria-label={words.removeLimit(describeLimit(limit))}
            busy={drop.isPending}
            onClick={() =>
              drop.mutate({
                method: "DELETE",
                path: withQuery(`/limits/${kind}`, { key }),
                done: words.limitRemoved(describeLimit(limit)),
                undo: () =>
                  put.mutate({
                    method: "PUT",
                    path: "/limits",
                    body: toBody(limit),
                    done: words.limitRestored(describeLimit(limit)),
                  }),
              })
            }
          />
        </div>
      )}
      {drop.isError && <Failure error={drop.error} />}
    </div>
  );
}

function toBody({ kind, max, per, key }: Limit): Record<string, unknown> {
  return {
    kind,
    max,
    ...(kind === "rate" ? { per: toDurationText(per) } : {}),
    ...(key === undefined || key === "" ? {} : { key }),
  };
}

/** The form that replaces a limit while it is edited, or appears below the others for a new limit. Enter saves the limit, Escape closes the form. */
function LimitForm({ target, limit, onDone }: { target: Target; limit: Limit | undefined; onDone: () => void }) {
  const [kind, setKind] = useState<Limit["kind"]>(limit?.kind ?? "concurrency");
  const [max, setMax] = useState(String(limit?.max ?? ""));
  const [per, setPer] = useState(toDurationText(limit?.per) || "1m");
  const [key, setKey] = useState(limit?.key ?? "");
  const put = useRuleChange(target, onDone);
  const back = useRuleChange(target);
  const path = limit?.key ?? key.trim();
  function leave(event: KeyboardEvent): void {
    if (event.key === "Escape") onDone();
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    const body = {
      kind,
      max: Number(max),
      ...(kind === "rate" ? { per: per.trim() } : {}),
      ...(path === "" ? {} : { key: path }),
    };
    put.mutate({
      method: "PUT",
      path: "/limits",
      body,
      done: words.limitSet(
        target,
        words.limit(Number(max), kind === "rate" ? per.trim() : undefined, path === "" ? undefined : path),
      ),
      ...(limit === undefined
        ? {}
        : {
            undo: () =>
              back.mutate({
                method: "PUT",
                path: "/limits",
                body: toBody(limit),
                done: words.limitRestored(describeLimit(limit)),
              }),
          }),
    });
  }
  return (
    <form className="limit limit-form" role="listitem" onSubmit={submit}>
      {limit === undefined && (
        <label>
          {words.kind}
          <select value={kind} onChange={(event) => setKind(event.target.value as Limit["kind"])}>
            <option value="concurrency">{words.kinds.concurrency}</option>
            <option value="rate">{words.kinds.rate}</option>
          </select>
        </label>
      )}
      <label>
        {kind === "rate" ? words.maxStarts : words.maxConcurrent}
        <input
          type="number"
          min={1}
          max={2_147_483_647}
          step={1}
          required
          autoFocus
          value={max}
          onKeyDown={leave}
          onChange={(event) => setMax(event.target.value)}
        />
      </label>
      {kind === "rate" && (
        <label>
          {words.period}
          <input
            required
            value={per}
            title={common.durationHint}
            placeholder={words.periodExample}
            onKeyDown={leave}
            onChange={(event) => setPer(event.target.value)}
          />
        </label>
      )}
      {limit === undefined ? (
        <label>
          {words.key}
          <input
            value={key}
            placeholder={words.keyExample}
            title={words.keyHint}
            onKeyDown={leave}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
      ) : (
        limit.key !== undefined && (
          <p>
            <Sentence text={words.perKey} slots={{ key: <code>{limit.key}</code> }} />
          </p>
        )
      )}
      <div className="tool-bar">
        <Button onClick={onDone}>{common.cancel}</Button>
        <Button type="submit" kind="primary" busy={put.isPending}>
          {common.save}
        </Button>
      </div>
      {put.isError && <Failure error={put.error} />}
    </form>
  );
}
