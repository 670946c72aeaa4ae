import type { Json } from "../../../../contract/rows.ts";
import type { taskSchema } from "../../../../contract/queues.ts";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { useMe } from "../../../api/me.ts";
import { Problem } from "../../../api/problem.ts";
import { rest } from "../../../api/request.ts";
import { usePreferences } from "../../../components/preferences.ts";
import { Choice } from "../../../components/choice.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Loading } from "../../../components/notice.tsx";
import { tell } from "../../../components/toasts.tsx";
import { useNames } from "../list/filter-bar.tsx";
import { fromControl } from "../time-dialog.tsx";
import { PayloadEditor } from "./payload-editor.tsx";
import { initialValue, isFormable } from "./schema.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

export type TaskDetails = Json<typeof taskSchema>;

export function useTask(name: string) {
  return useQuery({
    queryKey: ["task", name],
    enabled: name !== "",
    queryFn: async ({ signal }) => await rest<TaskDetails>("GET", `/tasks/${encodeURIComponent(name)}`, undefined, signal),
  });
}

/** A form for the task, payload and options of a job, which enqueues the job. */
export function EnqueueDialog({ task, onTask, onClose }: { task: string; onTask: (task: string) => void; onClose: () => void }) {
  const names = useNames();
  const details = useTask(task);
  return details.data === undefined ? (
    <FormDialog
      title={words.enqueue.title}
      submit={words.enqueue.submit}
      onClose={onClose}
      onSubmit={() => undefined}
      busy={false}
      disabled
      error={details.error ?? undefined}
      size="wide"
    >
      <TaskChoice task={task} names={names?.tasks} onTask={onTask} />
      {details.isFetching && <Loading rows={4} />}
    </FormDialog>
  ) : (
    <Form key={task} details={details.data} names={names?.tasks} onTask={onTask} onClose={onClose} />
  );
}

function TaskChoice({
  task,
  names,
  onTask,
}: {
  task: string;
  names: readonly string[] | undefined;
  onTask: (task: string) => void;
}) {
  return (
    <Field label={common.task}>
      <Choice
        label={common.task}
        any={task === "" ? words.enqueue.chooseTask : undefined}
        value={task}
        options={names ?? []}
        onChange={(name) => onTask(name ?? "")}
      />
    </Field>
  );
}

function Form({
  details,
  names,
  onTask,
  onClose,
}: {
  details: TaskDetails;
  names: readonly string[] | undefined;
  onTask: (task: string) => void;
  onClose: () => void;
}) {
  const me = useMe();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const isUtc = usePreferences().zone === "utc";
  const [payload, setPayload] = useState<unknown>(() =>
    isFormable(details.payloadSchema) ? initialValue(details.payloadSchema) : {},
  );
  const [isValid, setValid] = useState(true);
  const [options, setOptions] = useState<Record<string, string>>({});
  const enqueue = useMutation({
    mutationFn: async () =>
      await rest<{ id: string }>("POST", "/jobs", { ...toBody(options, isUtc), task: details.name, payload }),
    onSuccess: async ({ id }) => {
      tell(words.enqueue.enqueued(id));
      onClose();
      navigate(`/jobs/${id}`);
      await client.invalidateQueries({ queryKey: ["jobs"] });
    },
  });
  const fields = enqueue.error instanceof Problem ? enqueue.error.fields : undefined;
  const option = (name: string, label: string, hint: string | undefined, control: "text" | "number" | "time" = "text") => (
    <Field key={name} label={label} hint={hint} problem={fields?.find(({ field }) => field === name)?.message}>
      <input
        {...(control === "time" ? { type: "datetime-local" } : control === "number" ? { inputMode: "numeric" as const } : {})}
        value={options[name] ?? ""}
        onChange={({ target }) => setOptions({ ...options, [name]: target.value })}
      />
    </Field>
  );
  const zone = isUtc ? common.inUtc : common.inLocalTime;
  return (
    <FormDialog
      title={words.enqueue.title}
      submit={words.enqueue.submit}
      onClose={onClose}
      onSubmit={() => enqueue.mutate()}
      busy={enqueue.isPending}
      disabled={!isValid}
      error={enqueue.error ?? undefined}
      size="wide"
    >
      <TaskChoice task={details.name} names={names} onTask={onTask} />
      {details.description !== null && <p className="muted">{words.enqueue.inQueue(details.description, details.queue)}</p>}
      <PayloadEditor
        schema={details.payloadSchema}
        value={payload}
        fields={fields}
        onChange={(next, valid) => {
          setPayload(next);
          setValid(valid);
        }}
      />
      <details className="enqueue-options">
        <summary>{words.enqueue.options}</summary>
        <div>
          {option("runAt", words.enqueue.notBefore, words.enqueue.notBeforeHint(zone), "time")}
          {option("expiresAt", words.enqueue.notAfter, words.enqueue.notAfterHint(zone), "time")}
          {option("priority", common.priority, common.priorityHint, "number")}
          {option("maxAttempts", common.attempts, words.enqueue.attemptsHint, "number")}
          {Object.entries(words.enqueue.texts).map(([name, { label, hint }]) => option(name, label, hint))}
          {me?.tenant === null && option("tenant", common.tenant, words.enqueue.tenantHint)}
        </div>
      </details>
    </FormDialog>
  );
}

function toBody(options: Readonly<Record<string, string>>, isUtc: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).flatMap(([name, value]): [string, unknown][] => {
      if (value.trim() === "") return [];
      if (name === "runAt" || name === "expiresAt") return [[name, fromControl(value, isUtc)]];
      if (name === "priority" || name === "maxAttempts") return [[name, Number.isNaN(Number(value)) ? value : Number(value)]];
      return [[name, value.trim()]];
    }),
  );
}
