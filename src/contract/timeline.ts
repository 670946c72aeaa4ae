import { z } from "zod";
import { page } from "./page.ts";
import { type Answer, row } from "./rows.ts";
import { TIMELINE_KINDS } from "./timeline-kinds.ts";
import { at } from "./times.ts";

export const timelineEntrySchema = row({
  position: z.int(),
  kind: z
    .enum(TIMELINE_KINDS)
    .describe(
      "enqueued; why it waited: scheduled, retry_delay, dependency, paused, limit, serial_key, worker, or failed until it was retried; attempt, step, signal, sleep, invoke, child, " +
        "action (by a user), or end (cancelled or expired).",
    ),
  startedAt: at,
  endedAt: at.nullable().describe("Null while it continues; equal to startedAt for an instantaneous event."),
  expectedAt: at.nullable().describe("When it will end, if that is known."),
  state: z
    .string()
    .nullable()
    .describe(
      "The state of an attempt, step or child job; suspended for the part of an attempt before it waited for a signal or slept.",
    ),
  attempt: z.int().nullable(),
  label: z.string().describe("A description in words."),
  detail: z.string().nullable().describe("The reason or the error."),
  actor: z.string().nullable().describe("Who did it; for an attempt, the host and process of its worker."),
  targetType: z.string().nullable().describe("The type of the object that it refers to: job, queue, task or worker."),
  target: z.string().nullable().describe("The id or name of that object."),
}).meta({
  description: "Something that happened to the job.",
  examples: [
    {
      position: 2,
      kind: "paused",
      startedAt: "2026-11-22T03:40:34.000Z",
      endedAt: "2026-11-22T04:10:00.000Z",
      expectedAt: null,
      state: null,
      attempt: null,
      label: "Queue 'notification' paused",
      detail: "provider is down",
      actor: "ada",
      targetType: "queue",
      target: "notification",
    },
  ],
});

export const timelinePage = page(timelineEntrySchema, "The job's timeline, ordered by when each entry began.");

/** Something that happened to a job. */
export type TimelineEntry = Answer<typeof timelineEntrySchema>;
