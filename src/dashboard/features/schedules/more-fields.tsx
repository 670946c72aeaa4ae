import { Field } from "../../components/field.tsx";

import type { Draft } from "./draft.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** Options that most schedules leave at their defaults. */
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
      <summary>{words.more}</summary>
      <div className="more-fields">
        <Field label={words.start} hint={words.localTimeOf(draft.timezone)}>
          <input
            type="datetime-local"
            step={1}
            value={draft.startsAt}
            onChange={(event) => set({ startsAt: event.target.value })}
          />
        </Field>
        <Field label={words.end}>
          <input type="datetime-local" step={1} value={draft.endsAt} onChange={(event) => set({ endsAt: event.target.value })} />
        </Field>
        <Field label={words.maxRuns}>
          <input
            type="number"
            min={1}
            max={2_147_483_647}
            value={draft.maxRuns}
            onChange={(event) => set({ maxRuns: event.target.value })}
          />
        </Field>
        <Field label={words.jitterField} hint={common.durationHint}>
          <input value={draft.jitter} onChange={(event) => set({ jitter: event.target.value })} />
        </Field>
        <Field label={words.overlap}>
          <select value={draft.overlap} onChange={(event) => set({ overlap: event.target.value as Draft["overlap"] })}>
            {Object.entries(words.overlaps).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        {draft.overlap !== "allow" && (
          <Field label={words.maxConcurrent}>
            <input
              type="number"
              min={1}
              max={2_147_483_647}
              value={draft.maxInstances}
              placeholder={draft.overlap === "queue" ? words.maxConcurrentDefault.queue : words.maxConcurrentDefault.other}
              onChange={(event) => set({ maxInstances: event.target.value })}
            />
          </Field>
        )}
        <Field label={words.missed}>
          <select value={draft.missed} onChange={(event) => set({ missed: event.target.value as Draft["missed"] })}>
            {Object.entries(words.missedChoices).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        {draft.missed === "all" && (
          <Field label={words.catchUpWindow} hint={words.catchUpWindowHint}>
            <input value={draft.missedWindow} onChange={(event) => set({ missedWindow: event.target.value })} />
          </Field>
        )}
        <Field label={words.requires} hint={words.requiresHint}>
          <textarea rows={2} value={draft.requires} onChange={(event) => set({ requires: event.target.value })} />
        </Field>
        {draft.requires.trim() !== "" && (
          <Field label={words.requiresWait} hint={words.requiresWaitHint}>
            <input value={draft.requiresWait} onChange={(event) => set({ requiresWait: event.target.value })} />
          </Field>
        )}
        <Field label={common.priority} hint={common.priorityHint}>
          <input
            type="number"
            min={-32_768}
            max={32_767}
            value={draft.priority}
            onChange={(event) => set({ priority: event.target.value })}
          />
        </Field>
        <Field label={common.attempts} hint={words.attemptsHint}>
          <input
            type="number"
            min={1}
            max={32_767}
            value={draft.maxAttempts}
            onChange={(event) => set({ maxAttempts: event.target.value })}
          />
        </Field>
        {hasTenant && (
          <Field label={common.tenant} hint={words.tenantHint}>
            <input maxLength={200} value={draft.tenant} onChange={(event) => set({ tenant: event.target.value })} />
          </Field>
        )}
        <label className="check">
          <input type="checkbox" checked={draft.enabled} onChange={(event) => set({ enabled: event.target.checked })} />
          {words.enabled}
        </label>
      </div>
    </details>
  );
}
