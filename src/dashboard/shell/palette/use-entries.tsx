import {
  CalendarClock,
  CalendarPlus,
  CirclePause,
  CirclePlay,
  Clock,
  FileSearch,
  Hash,
  Keyboard,
  Layers,
  ListPlus,
  LogOut,
  Network,
  OctagonPause,
  RotateCw,
  Rows3,
  SquareFunction,
  SunMoon,
} from "lucide-react";
import { lazy, type ReactNode, Suspense } from "react";
import { may as mayOf, useMe } from "../../api/me.ts";
import { pauseUpdates, useUpdatesPaused } from "../../api/live-updates.ts";
import { useOverview } from "../../api/overview.ts";
import { signOut } from "../../api/session.ts";
import { choose, usePreferences } from "../../components/preferences.ts";
import { jobsPath, pathTo } from "../../router/links.ts";
import { PAGES } from "../../router/pages.ts";
import { ResumeAllDialog, StopDialog } from "../emergency-stop.tsx";
import { keysOf } from "../places.ts";
import { words } from "../words.ts";
import type { Entry } from "./entries.ts";
import { useNames } from "./use-names.ts";

// The dialogs of the pages. Each is loaded when it is first opened.
const PauseDialog = lazy(async () => ({ default: (await import("../../features/limits/pause.tsx")).PauseDialog }));
const ResumeDialog = lazy(async () => ({ default: (await import("../../features/limits/pause.tsx")).ResumeDialog }));
const RetryDialog = lazy(async () => await import("../../features/failed/retry-dialog.tsx"));

const THEMES = { system: "light", light: "dark", dark: "system" } as const;

function later(dialog: ReactNode): ReactNode {
  return <Suspense fallback={null}>{dialog}</Suspense>;
}

/** Everything that the user may open or do; `typed` adds the job with that id, or a search for that text. */
export function useEntries(typed: string, showShortcuts: () => void): { entries: Entry[]; isLoading: boolean } {
  const me = useMe();
  const { data: overview } = useOverview();
  const { theme, density, zone } = usePreferences();
  const isPaused = useUpdatesPaused();
  const names = useNames(true);
  if (me === undefined) return { entries: [], isLoading: true };
  const mayAct = mayOf(me, "operator", false);
  const mayRule = mayOf(me, "operator", true);
  const isStopped = (overview?.stoppedAt ?? null) !== null;
  const { actions } = words.palette;

  const entries: Entry[] = [];
  const text = typed.trim();
  if (/^\d{1,19}$/.test(text)) {
    entries.push({ id: "job", group: "found", label: words.palette.openJob(text), Icon: Hash, path: `/jobs/${text}` });
  }
  if (text !== "") {
    entries.push({
      id: "key",
      group: "found",
      label: words.palette.jobsWithKey(text),
      Icon: FileSearch,
      path: jobsPath({ key: text }),
    });
    entries.push({
      id: "search",
      group: "found",
      label: words.palette.findJobs(text),
      Icon: FileSearch,
      path: jobsPath({ q: text }),
    });
  }
  for (const { path, label, Icon, role = "viewer", everybody = false } of PAGES) {
    if (label === undefined || Icon === undefined || !mayOf(me, role, everybody)) continue;
    entries.push({ id: path, group: "pages", label, Icon, path, keys: keysOf(path), isFirst: true });
  }

  if (mayAct) {
    entries.push(
      { id: "enqueue", group: "actions", label: actions.enqueue, Icon: ListPlus, path: "/jobs?new=", isFirst: true },
      { id: "new-schedule", group: "actions", label: actions.newSchedule, Icon: CalendarPlus, path: "/schedules?new=yes" },
    );
    for (const task of names.failedTasks) {
      entries.push({
        id: `retry ${task}`,
        group: "actions",
        label: actions.retryFailed(task),
        Icon: RotateCw,
        dialog: (onClose) => later(<RetryDialog task={task} onClose={onClose} />),
      });
    }
  }
  if (mayRule) {
    entries.push(
      isStopped
        ? { id: "resume-all", group: "actions", label: actions.resumeAll, Icon: CirclePlay, isFirst: true, dialog: resumeAll }
        : {
            id: "stop",
            group: "actions",
            label: words.stop,
            also: [words.stopAll],
            Icon: OctagonPause,
            isFirst: true,
            dialog: stopAll,
          },
    );
    for (const scope of ["queue", "task"] as const) {
      for (const { name, pausedAt } of scope === "queue" ? names.queues : names.tasks) {
        const target = { scope, name };
        entries.push({
          id: `pause ${scope} ${name}`,
          group: "actions",
          label: pausedAt === null ? actions.pause(scope, name) : actions.resume(scope, name),
          Icon: pausedAt === null ? CirclePause : CirclePlay,
          dialog: (onClose) =>
            later(
              pausedAt === null ? (
                <PauseDialog target={target} onClose={onClose} />
              ) : (
                <ResumeDialog target={target} onClose={onClose} />
              ),
            ),
        });
      }
    }
  }
  const other = density === "compact" ? "comfortable" : "compact";
  entries.push(
    {
      id: "updates",
      group: "actions",
      label: isPaused ? actions.resumeUpdates : actions.pauseUpdates,
      Icon: isPaused ? CirclePlay : CirclePause,
      run: () => pauseUpdates(!isPaused),
    },
    {
      id: "theme",
      group: "actions",
      label: words.changeTheme(theme, THEMES[theme]),
      Icon: SunMoon,
      run: () => choose({ theme: THEMES[theme] }),
    },
    { id: "density", group: "actions", label: actions.density[other], Icon: Rows3, run: () => choose({ density: other }) },
    {
      id: "zone",
      group: "actions",
      label: zone === "utc" ? words.showLocal : words.showUtc,
      Icon: Clock,
      run: () => choose({ zone: zone === "utc" ? "local" : "utc" }),
    },
    { id: "keys", group: "actions", label: words.shortcuts, keys: ["?"], Icon: Keyboard, run: showShortcuts },
    { id: "sign-out", group: "actions", label: words.signOut, Icon: LogOut, run: signOut },
  );

  for (const { name } of names.queues) {
    entries.push({ id: `queue ${name}`, group: "queues", label: name, Icon: Layers, path: pathTo("/queues", name) });
  }
  for (const { name, queue } of names.tasks) {
    entries.push({
      id: `task ${name}`,
      group: "tasks",
      label: name,
      detail: queue,
      Icon: SquareFunction,
      path: pathTo("/tasks", name),
    });
  }
  for (const { name, task } of names.schedules) {
    const path = pathTo("/schedules", name);
    entries.push({ id: `schedule ${name}`, group: "schedules", label: name, detail: task, Icon: CalendarClock, path });
  }
  for (const { id, name, state } of names.workflows) {
    entries.push({
      id: `workflow ${id}`,
      group: "workflows",
      label: name,
      detail: `${id} · ${state}`,
      also: [id],
      Icon: Network,
      path: `/workflows/${id}`,
    });
  }
  return { entries, isLoading: names.isLoading };
}

function stopAll(onClose: () => void): ReactNode {
  return <StopDialog onClose={onClose} />;
}

function resumeAll(onClose: () => void): ReactNode {
  return <ResumeAllDialog onClose={onClose} />;
}
