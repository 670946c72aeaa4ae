import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { useMe } from "../../api/me.ts";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { pathTo } from "../../router/links.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";
import type { Task } from "../limits/limits.ts";
import { type Draft, isRedacted, isZone, toBody, toDraft, toTiming } from "./draft.ts";
import { MoreFields } from "./more-fields.tsx";
import { type Schedule, scheduleRoute } from "../../api/schedules.ts";
import { TimingPreview } from "./timing-preview.tsx";

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone")];

/** Makes a schedule, or changes one: with what was typed in words and its next times beside it. */
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
      tell(schedule === undefined ? `${saved.name} is scheduled.` : `${saved.name} is changed.`);
      onClose();
      if (schedule === undefined) navigate(pathTo("/schedules", saved.name));
    },
  });
  const wrong = (field: string): string | undefined =>
    save.error instanceof Problem ? save.error.fields.find((one) => one.field === field)?.message : undefined;
  return (
    <FormDialog
      title={schedule === undefined ? "New schedule" : `Edit ${schedule.name}`}
      submit={schedule === undefined ? "Create" : "Save"}
      size="wide"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      busy={save.isPending}
      error={save.error instanceof SyntaxError ? new Error(`The payload is not JSON: ${save.error.message}`) : save.error}
      disabled={toTiming(draft) === undefined}
    >
      <div className="schedule-form">
        <div className="schedule-fields">
          {schedule === undefined && (
            <Field label="Name" problem={wrong("name")}>
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
          <Field
            label="Payload"
            hint={
              hides
                ? "Parts of it are redacted and cannot be shown. Give the whole payload again: it takes the place of the old one."
                : "JSON that its jobs are given; {} when empty."
            }
            problem={wrong("payload")}
          >
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
  const { data } = useQuery({
    queryKey: ["tasks", "names"],
    queryFn: async ({ signal }) => (await rest<{ items: Task[] }>("GET", "/tasks?limit=500", undefined, signal)).items,
  });
  return (
    <>
      <Field label="Task" hint={data?.find(({ name }) => name === value)?.description ?? undefined} problem={problem}>
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

const KINDS = { cron: "By a cron expression", every: "Again and again", at: "Once" } as const;

function WhenFields({
  draft,
  set,
  wrong,
}: {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  wrong: (field: string) => string | undefined;
}) {
  return (
    <>
      <fieldset className="choices">
        <legend>When</legend>
        {Object.entries(KINDS).map(([kind, label]) => (
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
        <Field
          label="Cron expression"
          problem={wrong("cron")}
          hint="Minute, hour, day, month, weekday; with seconds in front if there are six. Or @daily and the like."
        >
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
      {draft.kind === "every" && (
        <Field
          label="Every"
          problem={wrong("every")}
          hint="Such as 30s, 5m, 2h, 1d or 1 month. Days and months are steps of the calendar."
        >
          <input required value={draft.every} onChange={(event) => set({ every: event.target.value })} />
        </Field>
      )}
      {draft.kind === "at" && (
        <Field label="At" hint={`As the clocks of ${draft.timezone} show it.`}>
          <input required type="datetime-local" step={1} value={draft.at} onChange={(event) => set({ at: event.target.value })} />
        </Field>
      )}
      <Field label="Time zone" problem={isZone(draft.timezone) ? undefined : "No time zone is called that."}>
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
