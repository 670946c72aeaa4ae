import { useQueryClient } from "@tanstack/react-query";
import { CloudOff, Pause } from "lucide-react";
import { useEffect, useRef } from "react";
import { pauseUpdates, useUpdatesPaused } from "../api/live-updates.ts";
import { useReach } from "../api/reach.ts";
import { useConnection } from "../api/subscribe.ts";
import { Button } from "../components/button.tsx";
import { usePreferences } from "../components/preferences.ts";
import { formatTimeOfDay } from "../components/time/format-times.ts";
import { announce } from "../components/toasts.tsx";
import { words } from "./words.ts";

/** Shown on every page while the server cannot be reached, instead of an error in each of its parts. */
export function AwayBanner() {
  const { isAway, respondedAt } = useReach();
  const { zone } = usePreferences();
  const wasAway = useRef(false);
  useEffect(() => {
    if (wasAway.current && !isAway) announce(words.back);
    wasAway.current = isAway;
  }, [isAway]);
  if (!isAway) return null;
  return (
    <div className="banner" data-kind="away" role="alert">
      <CloudOff aria-hidden="true" />
      <p>{words.away(formatTimeOfDay(respondedAt, zone))}</p>
    </div>
  );
}

/** Shows whether the page receives live updates. Pressing it pauses them; pressing it again resumes them. */
export function LiveSwitch() {
  const client = useQueryClient();
  const isPaused = useUpdatesPaused();
  const { isAway } = useReach();
  const connection = useConnection();
  const state =
    isAway || connection === "lost"
      ? "lost"
      : isPaused
        ? "paused"
        : connection === "connecting" || connection === "barred"
          ? connection
          : "open";
  const action = isPaused ? words.resumeUpdates : words.pauseUpdates(words.connections[state]);
  const description = state === "barred" ? `${words.barred} ${action}` : action;
  function toggle(): void {
    pauseUpdates(!isPaused);
    if (isPaused) void client.invalidateQueries();
  }
  return (
    <Button
      kind="quiet"
      className="connection"
      data-connection={state}
      aria-label={description}
      title={description}
      icon={isPaused ? <Pause aria-hidden="true" /> : <span className="state-dot" aria-hidden="true" />}
      onClick={toggle}
    >
      <span className="wide-only">{words.connections[state]}</span>
    </Button>
  );
}
