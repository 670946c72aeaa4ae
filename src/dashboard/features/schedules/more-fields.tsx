import { Field } from "../../components/field.tsx";
import { DURATION_HINT } from "../limits/limits.ts";
import type { Draft } from "./draft.ts";

/** What most schedules leave as it is. */
export function MoreFields({
  draft,
  set,
  hasTenant,
}: {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  hasTenant: boolean;
}) {
  return (
    <details>
      <summary>Bounds, overlap, missed times and more</summary>
      <div className="more-fields">
        <Field label="Not before" hint={`Clocks of ${draft.timezone}.`}>
          <input
            type="datetime-local"
            step={1}
            value={draft.startsAt}
            onChange={(event) => set({ startsAt: event.target.value })}
          />
        </Field>
        <Field label="Not after">
          <input type="datetime-local" step={1} value={draft.endsAt} onChange={(event) => set({ endsAt: event.target.value })} />
        </Field>
        <Field label="Over after so many runs">
          <input
            type="number"
            min={1}
            max={2_147_483_647}
            value={draft.maxRuns}
            onChange={(event) => set({ maxRuns: event.target.value })}
          />
        </Field>
        <Field label="Later by up to, at random" hint={DURATION_HINT}>
          <input value={draft.jitter} onChange={(event) => set({ jitter: event.target.value })} />
        </Field>
        <Field label="While its jobs still run">
          <select value={draft.overlap} onChange={(event) => set({ overlap: event.target.value as Draft["overlap"] })}>
            <option value="allow">enqueue all the same</option>
            <option value="skip">leave the occurrence out</option>
            <option value="queue">enqueue it behind them</option>
            <option value="cancel">cancel the oldest</option>
          </select>
        </Field>
        {draft.overlap !== "allow" && (
          <Field label="Jobs that may live at a time">
            <input
              type="number"
              min={1}
              max={2_147_483_647}
              value={draft.maxInstances}
              placeholder={draft.overlap === "queue" ? "100" : "1"}
              onChange={(event) => set({ maxInstances: event.target.value })}
            />
          </Field>
        )}
        <Field label="Times that nobody was there for">
          <select value={draft.missed} onChange={(event) => set({ missed: event.target.value as Draft["missed"] })}>
            <option value="one">one job stands for all</option>
            <option value="none">leave them out</option>
            <option value="all">make up for each</option>
          </select>
        </Field>
        {draft.missed === "all" && (
          <Field label="But none older than" hint="A day by default.">
            <input value={draft.missedWindow} onChange={(event) => set({ missedWindow: event.target.value })} />
          </Field>
        )}
        <Field label="Schedules that must have completed" hint="One a line, each with how long ago at most: cleanup: 24h">
          <textarea rows={2} value={draft.requires} onChange={(event) => set({ requires: event.target.value })} />
        </Field>
        {draft.requires.trim() !== "" && (
          <Field label="Wait for them for" hint="An hour by default; then it is held back.">
            <input value={draft.requiresWait} onChange={(event) => set({ requiresWait: event.target.value })} />
          </Field>
        )}
        <Field label="Priority" hint="Smaller runs first; 0 by default.">
          <input
            type="number"
            min={-32_768}
            max={32_767}
            value={draft.priority}
            onChange={(event) => set({ priority: event.target.value })}
          />
        </Field>
        <Field label="Attempts" hint="As its task says by default.">
          <input
            type="number"
            min={1}
            max={32_767}
            value={draft.maxAttempts}
            onChange={(event) => set({ maxAttempts: event.target.value })}
          />
        </Field>
        {hasTenant && (
          <Field label="Tenant" hint="Whose its jobs are; nobody's by default.">
            <input maxLength={200} value={draft.tenant} onChange={(event) => set({ tenant: event.target.value })} />
          </Field>
        )}
        <label className="check">
          <input type="checkbox" checked={draft.enabled} onChange={(event) => set({ enabled: event.target.checked })} />
          Enabled
        </label>
      </div>
    </details>
  );
}
