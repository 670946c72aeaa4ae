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

/** Whether it can be changed here, and by this token: entries of crontabs are changed in their file. */
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
    onSuccess: async (answer, { done, undo }) => {
      tell(done(answer), undo === undefined ? {} : { undo });
      await Promise.all([
        client.invalidateQueries({ queryKey: ["schedules"] }),
        client.invalidateQueries({ queryKey: ["schedule", schedule.name] }),
        client.invalidateQueries({ queryKey: ["schedule-runs", schedule.name] }),
        client.invalidateQueries({ queryKey: ["schedule-load"] }),
      ]);
    },
    onError: (error) => tell(error.message, { kind: "error" }),
  });
}

/** Runs it now; enables or disables it. In a list the buttons are signs only, named for who cannot see. */
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
      done: () => (enable ? `${name} occurs again from now on.` : `${name} is disabled until somebody enables it.`),
      undo: () => flip(!enable),
    });
  return (
    <span className="tool-bar">
      <Button
        kind={kind}
        icon={<Play aria-hidden="true" />}
        aria-label={quiet ? `Run ${name} now` : undefined}
        title={`Run ${name} now`}
        busy={run.isPending}
        onClick={() => run.mutate({ path: "/run", done: ({ id }) => `${name} runs now, as job ${id}.` })}
      >
        {!quiet && "Run now"}
      </Button>
      <Button
        kind={kind}
        icon={isEnabled ? <CirclePause aria-hidden="true" /> : <CirclePlay aria-hidden="true" />}
        aria-label={quiet ? `${isEnabled ? "Disable" : "Enable"} ${name}` : undefined}
        title={`${isEnabled ? "Disable" : "Enable"} ${name}`}
        busy={toggle.isPending}
        onClick={() => flip(!isEnabled)}
      >
        {!quiet && (isEnabled ? "Disable" : "Enable")}
      </Button>
    </span>
  );
}

/** Removes it, when that is confirmed. */
export function RemoveSchedule({ schedule }: { schedule: Schedule }) {
  const [isOpen, setOpen] = useState(false);
  const [, navigate] = useLocation();
  const remove = useAct(schedule);
  const may = useMayChange(schedule);
  if (!may) return null;
  return (
    <>
      <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => setOpen(true)}>
        Remove
      </Button>
      {isOpen && (
        <FormDialog
          title={`Remove ${schedule.name}?`}
          submit="Remove"
          kind="danger"
          onClose={() => setOpen(false)}
          onSubmit={() =>
            remove.mutate(
              { path: "", method: "DELETE", done: () => `${schedule.name} is gone.` },
              { onSuccess: () => navigate("/schedules") },
            )
          }
          busy={remove.isPending}
          error={remove.error}
        >
          <p>
            It enqueues nothing any more. Its jobs and what became of its occurrences stay. To let it rest for some time, disable
            it.
          </p>
        </FormDialog>
      )}
    </>
  );
}
