import type { Json } from "../../../../contract/rows.ts";
import type { attemptSchema, jobWithAttemptsSchema, rerunPage } from "../../../../contract/jobs.ts";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useLive } from "../../../api/subscribe.ts";
import { type TaskStatistics, useStatistics } from "../../../api/statistics.ts";
import { Problem } from "../../../api/problem.ts";
import { graphql, rest } from "../../../api/request.ts";
import { isFinished } from "../../../components/state-badge.tsx";

export type Attempt = Json<typeof attemptSchema>;

export type Job = Json<typeof jobWithAttemptsSchema>;

type LiveJob = Pick<
  Job,
  "state" | "attempts" | "priority" | "error" | "runAt" | "startedAt" | "finishedAt" | "progress" | "progressMessage"
>;

const LIVE_JOB = /* GraphQL */ `
  subscription ($id: BigInt!) {
    job(id: $id) {
      state
      attempts: attemptCount
      priority
      error
      runAt
      startedAt
      finishedAt
      progress
      progressMessage
    }
  }
`;

/** How often a job is fetched if its changes are not pushed (ms). */
const POLL_MS = 3_000;

/** The current state of a job with its attempts. The server pushes changes; each one triggers a refetch of the data that it does not contain. */
export function useJob(id: string) {
  const client = useQueryClient();
  const live = useLive<{ job: LiveJob | null }>(LIVE_JOB, { id });
  const now = live.data?.job;
  const job = useQuery({
    queryKey: ["job", id],
    queryFn: async ({ signal }) => await rest<Job>("GET", `/jobs/${id}`, undefined, signal),
    refetchInterval: ({ state }) =>
      live.error !== undefined && state.status !== "error" && !isFinished(state.data?.state ?? "") ? POLL_MS : false,
  });
  // Everything except progress. When one of these values changes, the rest of the page may have changed too.
  const version =
    now === undefined || now === null ? undefined : `${now.state} ${now.attempts} ${now.priority} ${now.runAt} ${now.finishedAt}`;
  useEffect(() => {
    if (version === undefined) return;
    for (const name of ["job", "job explain", "job relations", "job steps", "job reruns", "job timeline"])
      void client.invalidateQueries({ queryKey: [name, id] });
  }, [version, client, id]);
  // Live updates shorten long errors; the whole error comes with the response.
  const data =
    job.data === undefined || now === undefined || now === null ? job.data : { ...job.data, ...now, error: job.data.error };
  return { query: job, job: data, isMissing: job.error instanceof Problem && job.error.code === "LW404" };
}

export interface Relation {
  id: string;
  task: string;
  state: string;
}

export interface Relations {
  parent: Relation | null;
  /** Whether there are more child jobs than the timeline shows. */
  children: { pageInfo: { hasNextPage: boolean } };
  workflow: { id: string; name: string; state: string } | null;
  workflowStep: { name: string } | null;
  schedule: { name: string; sentence: string } | null;
  scheduleRun: { dueAt: string } | null;
}

const RELATIONS = /* GraphQL */ `
  query ($id: BigInt!) {
    job(id: $id) {
      parent {
        id
        task
        state
      }
      children(first: 50) {
        pageInfo {
          hasNextPage
        }
      }
      workflow {
        id
        name
        state
      }
      workflowStep {
        name
      }
      schedule {
        name
        sentence
      }
      scheduleRun {
        dueAt
      }
    }
  }
`;

export function useRelations(id: string, isLive: boolean) {
  return useQuery({
    queryKey: ["job relations", id],
    queryFn: async ({ signal }) => (await graphql<{ job: Relations | null }>(RELATIONS, { id }, signal)).job,
    refetchInterval: isLive ? POLL_MS : false,
  });
}

export type Rerun = Json<typeof rerunPage>["items"][number];

export function useReruns(id: string) {
  return useQuery({
    queryKey: ["job reruns", id],
    queryFn: async ({ signal }) => (await rest<{ items: Rerun[] }>("GET", `/jobs/${id}/reruns`, undefined, signal)).items,
  });
}

/** The typical times of a task over the last 24 hours (seconds). */
export type Usual = Pick<TaskStatistics, "waitP95" | "runP50" | "runP95">;

/** Undefined while loading and for tokens limited to one tenant, because statistics cover all tenants; null if the task has not run. */
export function useUsual(task: string): Usual | null | undefined {
  const { data } = useStatistics("24h");
  return data === undefined ? undefined : (data.get(task) ?? null);
}
