import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { useMe } from "../../api/me.ts";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { useTasks } from "../../api/tasks.ts";
import { pathTo } from "../../router/links.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";
import { type Draft, isRedacted, isZone, toBody, toDraft, toTiming } from "./draft.ts";
import { MoreFields } from "./more-fields.tsx";
import { type Schedule, scheduleRoute } from "../../api/schedules.ts";
import { timesInWords } from "./times-in-words.ts";
import { TimingPreview } from "./timing-preview.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone")];

/** Creates or edits a schedule, with a preview of its timing in words and of its next runs. */
export function ScheduleDialog({ schedule, onClose }: { schedule: Schedule | undefined; onClose: () => void }) {
  const client = useQueryClient();
  const me = useMe();
  const [, navigate] = useLocation();
  const [draft, setDraft] = useState(() => toDraft(schedule));
  const set = (change: Partial<Draft>): void => setDraft((before) => ({ ...before, ...change }));
  const hides = isRedacted(schedule);
  const save = useMutation({
    mutationFn: () => rest<Schedule>("PUT", scheduleRoute(draft.name.trim()), toBody(draft, schedule)),
    onSuccess: async (saved) => {
      client.setQueryData(["schedule", saved.name], saved);
      await Promise.all([
        client.invalidateQueries({ queryKey: ["schedules"] }),
        client.invalidateQueries({ queryKey: ["schedule-load"] }),
      ]);
      tell(schedule === undefined ? words.scheduled(saved.name) : words.saved(saved.name));
      onClose();
      if (schedule === undefined) navigate(pathTo("/schedules", saved.name));
    },
  });
  const wrong = (field: string): string | undefined =>
    save.error instanceof Problem ? save.error.fields.find((one) => one.field === field)?.message : undefined;
  return (
    <FormDialog
      title={schedule === undefined ? words.newSchedule : words.editOf(schedule.name)}
      submit={schedule === undefined ? common.create : common.save}
      size="wide"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      busy={save.isPending}
      error={save.error instanceof SyntaxError ? new Error(common.notJson(save.error.message)) : save.error}
      disabled={toTiming(draft) === undefined}
    >
      <div className="schedule-form">
        <div className="schedule-fields">
          {schedule === undefined && (
            <Field label={common.name} problem={wrong("name")}>
              <input
                required
                maxLength={128}
                autoFocus
                value={draft.name}
                onChange={(event) => set({ name: event.target.value })}
              />
            </Field>
          )}
          <TaskField value={draft.task} problem={wrong("task")} onChange={(task) => set({ task })} />
          <WhenFields draft={draft} set={set} wrong={wrong} />
          <Field label={common.payload} hint={hides ? words.payloadRedacted : words.payloadHint} problem={wrong("payload")}>
            <textarea
              rows={4}
              required={hides}
              spellCheck={false}
              value={draft.payload}
              onChange={(event) => set({ payload: event.target.value })}
            />
          </Field>
        </div>
        <TimingPreview timing={toTiming(draft)} />
      </div>
      <MoreFields draft={draft} set={set} hasTenant={me?.tenant === null} />
    </FormDialog>
  );
}

function TaskField({
  value,
  problem,
  onChange,
}: {
  value: string;
  problem: string | undefined;
  onChange: (task: string) => void;
}) {
  const { data } = useTasks();
  return (
    <>
      <Field label={common.task} hint={data?.find(({ name }) => name === value)?.description ?? undefined} problem={problem}>
        <input
          required
          list="schedule-tasks"
          autoComplete="off"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      </Field>
      <datalist id="schedule-tasks">
        {data?.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </datalist>
    </>
  );
}

function WhenFields({
  draft,
  set,
  wrong,
}: {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  wrong: (field: string) => string | undefined;
}) {
  const meant = timesInWords(draft.cron, ZONES);
  return (
    <>
      <fieldset className="choices">
        <legend>{words.when}</legend>
        {Object.entries(words.kinds).map(([kind, label]) => (
          <label key={kind} className="check">
            <input
              type="radio"
              name="kind"
              value={kind}
              checked={draft.kind === kind}
              onChange={() => set({ kind: kind as Draft["kind"] })}
            />
            {label}
          </label>
        ))}
      </fieldset>
      {draft.kind === "cron" && (
        <Field label={words.cron} problem={wrong("cron")} hint={words.cronHint}>
          <input
            required
            className="expression"
            spellCheck={false}
            autoComplete="off"
            value={draft.cron}
            onChange={(event) => set({ cron: event.target.value })}
          />
        </Field>
      )}
      {draft.kind === "cron" && meant !== undefined && (
        <Button onClick={() => set({ cron: meant.cron, ...(meant.zone === undefined ? {} : { timezone: meant.zone }) })}>
          {words.applyTimes(meant.cron, meant.zone)}
        </Button>
      )}
      {draft.kind === "every" && (
        <Field label={words.every} problem={wrong("every")} hint={words.everyHint}>
          <input required value={draft.every} onChange={(event) => set({ every: event.target.value })} />
        </Field>
      )}
      {draft.kind === "at" && (
        <Field label={words.at} hint={words.localTimeOf(draft.timezone)}>
          <input required type="datetime-local" step={1} value={draft.at} onChange={(event) => set({ at: event.target.value })} />
        </Field>
      )}
      <Field label={words.timeZone} problem={isZone(draft.timezone) ? undefined : words.unknownZone}>
        <input
          required
          list="schedule-zones"
          autoComplete="off"
          value={draft.timezone}
          onChange={(event) => set({ timezone: event.target.value })}
        />
      </Field>
      <datalist id="schedule-zones">
        {ZONES.map((zone) => (
          <option key={zone}>{zone}</option>
        ))}
      </datalist>
    </>
  );
}
