import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CirclePause, CirclePlay, Play, Trash2 } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { tell } from "../../components/toasts.tsx";
import { type Schedule, scheduleRoute } from "../../api/schedules.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** Whether the token may change the schedule here. Schedules from a crontab are changed in that file. */
export function useMayChange(schedule: Pick<Schedule, "source">): boolean {
  return useMay("operator") && schedule.source === "database";
}

function useAct(schedule: Schedule) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({
      path,
      method = "POST",
    }: {
      path: string;
      method?: "POST" | "DELETE";
      done: (answer: { id?: string }) => string;
      undo?: () => unknown;
    }) => rest<{ id?: string }>(method, scheduleRoute(schedule.name, path)),
    onSuccess: async (answer, { done, undo, method }) => {
      tell(done(answer), undo === undefined ? {} : { undo });
      // A removed schedule can no longer be fetched.
      const own =
        method === "DELETE"
          ? []
          : [
              ["schedule", schedule.name],
              ["schedule-runs", schedule.name],
            ];
      await Promise.all([["schedules"], ["schedule-load"], ...own].map((queryKey) => client.invalidateQueries({ queryKey })));
    },
    onError: (error) => tell(error.message, { kind: "error" }),
  });
}

/** Buttons that run, enable or disable a schedule. In lists they are icons, with labels for screen readers. */
export function ScheduleButtons({ schedule, quiet = false }: { schedule: Schedule; quiet?: boolean }) {
  const may = useMayChange(schedule);
  const run = useAct(schedule);
  const toggle = useAct(schedule);
  if (!may) return null;
  const { name, isEnabled } = schedule;
  const kind = quiet ? "quiet" : "plain";
  const flip = (enable: boolean): void =>
    toggle.mutate({
      path: enable ? "/enable" : "/disable",
      done: () => (enable ? words.enabledNow(name) : words.disabledNow(name)),
      undo: () => flip(!enable),
    });
  return (
    <span className="tool-bar">
      <Button
        kind={kind}
        icon={<Play aria-hidden="true" />}
        aria-label={quiet ? words.runNowOf(name) : undefined}
        title={words.runNowOf(name)}
        busy={run.isPending}
        onClick={() => run.mutate({ path: "/run", done: ({ id }) => words.ranNow(name, id) })}
      >
        {!quiet && words.runNow}
      </Button>
      <Button
        kind={kind}
        icon={isEnabled ? <CirclePause aria-hidden="true" /> : <CirclePlay aria-hidden="true" />}
        aria-label={quiet ? (isEnabled ? words.disableOf(name) : words.enableOf(name)) : undefined}
        title={isEnabled ? words.disableOf(name) : words.enableOf(name)}
        busy={toggle.isPending}
        onClick={() => flip(!isEnabled)}
      >
        {!quiet && (isEnabled ? words.disable : words.enable)}
      </Button>
    </span>
  );
}

/** Removes a schedule after a confirmation. */
export function RemoveSchedule({ schedule }: { schedule: Schedule }) {
  const [isOpen, setOpen] = useState(false);
  const [, navigate] = useLocation();
  const remove = useAct(schedule);
  const may = useMayChange(schedule);
  if (!may) return null;
  return (
    <>
      <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => setOpen(true)}>
        {common.remove}
      </Button>
      {isOpen && (
        <FormDialog
          title={words.removeQuestion(schedule.name)}
          submit={common.remove}
          kind="danger"
          onClose={() => setOpen(false)}
          onSubmit={() =>
            remove.mutate(
              { path: "", method: "DELETE", done: () => words.removed(schedule.name) },
              { onSuccess: () => navigate("/schedules") },
            )
          }
          busy={remove.isPending}
          error={remove.error}
        >
          <p>{words.removeExplained}</p>
        </FormDialog>
      )}
    </>
  );
}
