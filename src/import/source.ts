import type { Queryable } from "../db/pool.ts";
import type { ScheduleOptions } from "../schedules/schedule.ts";

/** The states that imported jobs may have, under Legwork's names. */
export const IMPORT_STATES = ["pending", "scheduled", "retrying", "blocked", "paused"] as const;
export type ImportState = (typeof IMPORT_STATES)[number];

/** A note on an option: how it was mapped, or why it was not. */
export interface OptionNote {
  /** The option's name in the source system. */
  readonly option: string;
  readonly text: string;
}

/** A waiting job in the source system. */
export interface SourceJob {
  /** Identifies the job permanently, even if the source system later gives its id to another job. */
  readonly id: string;
  /** The job's id in the source system. */
  readonly sourceId: string;
  /** The queue, as named in `--only`. */
  readonly queue: string;
  /** The names under which a mapping may list the job, most specific first. */
  readonly names: readonly string[];
  readonly state: ImportState;
  /** The payload's JSON as stored in the source system; numbers keep all their digits. */
  readonly payload: string;
  /** Fields of a job of `legwork.enqueue_many`. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** The ids of the jobs that this job depends on. */
  readonly dependsOn?: readonly string[];
  readonly notes: readonly OptionNote[];
  /** The reason why the job cannot be imported; undefined if it can. */
  readonly obstacle?: string | undefined;
}

/** Jobs that are imported together or not at all. Dependencies come before the jobs that depend on them. */
export type Unit = readonly SourceJob[];

/** A repeating job in the source system. */
export interface SourceSchedule {
  readonly id: string;
  readonly queue: string;
  readonly names: readonly string[];
  /** Its name in the source system. */
  readonly label: string;
  /** Its name in Legwork. */
  readonly name: string;
  /** The options without the task, which the mapping determines. */
  readonly options: ScheduleOptions;
  readonly notes: readonly OptionNote[];
  readonly obstacle?: string | undefined;
}

export interface SourceQueue {
  readonly name: string;
  /** The number of running jobs. They are left alone. */
  readonly active: number;
  /** The number of failed and completed jobs. They are not imported. */
  readonly ended: number;
  readonly isPaused: boolean;
  /** Notes on the queue's settings. */
  readonly notes: readonly OptionNote[];
}

/** Where a staged job is: still in the source system (`there`), or taken by an import. A job that was removed by other means has no entry. */
export type Whereabouts = "there" | "taken";

/** A job system to import from. */
export interface ImportSource {
  /** The system's name in messages. */
  readonly label: string;
  /** The system's name in `legwork_private.imported_jobs`. */
  readonly source: string;
  /** Identifies the database or the Redis server, the only place that records whether a staged job was taken. */
  readonly server: string;
  /** Whether its jobs are in Legwork's database, so that a batch is one transaction. */
  readonly isSameDatabase: boolean;
  queues(): Promise<readonly SourceQueue[]>;
  schedules(queues: readonly string[]): Promise<readonly SourceSchedule[]>;
  /** The waiting jobs of these queues, in the order in which they would run, in batches of bounded size. */
  batches(queues: readonly string[]): AsyncIterable<readonly Unit[]>;
  /**
   * Locks the jobs of a batch and returns the units that are still waiting; no other process can start a locked job. `shared` is the transaction of
   * the batch if both are in one database.
   */
  lock(units: readonly Unit[], shared: Queryable): Promise<readonly Unit[]>;
  /** Takes locked units, each completely or not at all, ends the locks, and returns the ids of the jobs that are no longer in the source system. */
  take(units: readonly Unit[], shared: Queryable): Promise<ReadonlySet<string>>;
  takeSchedule(schedule: Pick<SourceSchedule, "id">, shared: Queryable): Promise<boolean>;
  /** Deletes the records of taken jobs after the jobs have been enqueued. */
  settle(ids: readonly string[], shared: Queryable): Promise<void>;
  /** Deletes the records of all taken jobs. Called when no job is staged. */
  settleAll(): Promise<void>;
  /** Returns where staged jobs and schedules are now. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Whereabouts>>;
  close(): Promise<void>;
}
