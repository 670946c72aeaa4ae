import type { Queryable } from "../db/pool.ts";
import type { ScheduleOptions } from "../schedules/schedule.ts";

/** The states of jobs that can be taken over, in Legwork's words. */
export const IMPORT_STATES = ["pending", "scheduled", "retrying", "blocked", "paused"] as const;
export type ImportState = (typeof IMPORT_STATES)[number];

/** What the import says about an option: how it was carried over, or why it was not. */
export interface OptionNote {
  /** The option's name in the other system. */
  readonly option: string;
  readonly text: string;
}

/** A waiting job of the other system. */
export interface SourceJob {
  /** Identifies the job for all time: also when the other system gives its number to another job later. */
  readonly id: string;
  /** Its id as the other system shows it. */
  readonly sourceId: string;
  /** The queue that `--only` names. */
  readonly queue: string;
  /** How the mapping names it: the most specific name first. */
  readonly names: readonly string[];
  readonly state: ImportState;
  /** The payload's JSON, as it is stored there: every digit of a number stays. */
  readonly payload: string;
  /** Fields of a job of `legwork.enqueue_many`. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** Ids of jobs that must have ended before. */
  readonly dependsOn?: readonly string[];
  readonly notes: readonly OptionNote[];
  /** Why it cannot be taken over; undefined if it can. */
  readonly obstacle?: string | undefined;
}

/** Jobs that are taken over together or not at all. Those that others depend on come first. */
export type Unit = readonly SourceJob[];

/** A repeating job of the other system. */
export interface SourceSchedule {
  readonly id: string;
  readonly queue: string;
  readonly names: readonly string[];
  /** Its name there. */
  readonly label: string;
  /** Its name here. */
  readonly name: string;
  /** Without the task, which the mapping decides. */
  readonly options: ScheduleOptions;
  readonly notes: readonly OptionNote[];
  readonly obstacle?: string | undefined;
}

export interface SourceQueue {
  readonly name: string;
  /** Jobs that are running there now. They are left alone. */
  readonly active: number;
  /** Failed and completed jobs, which are not imported. */
  readonly ended: number;
  readonly isPaused: boolean;
  /** What is said about settings of the queue. */
  readonly notes: readonly OptionNote[];
}

/** Whether a staged job is still in the other system: waiting or running there, taken by an import, or gone without one. */
export type Whereabouts = "there" | "taken";

/** The other system. */
export interface ImportSource {
  /** How messages name it. */
  readonly label: string;
  /** Names it in `legwork_private.imported_jobs`. */
  readonly source: string;
  /** The database or Redis, which alone knows whether a staged job was taken. */
  readonly server: string;
  /** Its jobs are in the database of Legwork, so that a batch is one transaction. */
  readonly isSameDatabase: boolean;
  queues(): Promise<readonly SourceQueue[]>;
  schedules(queues: readonly string[]): Promise<readonly SourceSchedule[]>;
  /** The waiting jobs of these queues, in the order in which they would run, in batches of bounded size. */
  batches(queues: readonly string[]): AsyncIterable<readonly Unit[]>;
  /**
   * Begins to take a batch and returns those of its units that still wait; no one else can start a job that is locked. `shared` is the transaction of
   * the batch if both are in one database.
   */
  lock(units: readonly Unit[], shared: Queryable): Promise<readonly Unit[]>;
  /** Takes locked units, each completely or not at all, and returns the ids that are out of the other system now. Ends what `lock` began. */
  take(units: readonly Unit[], shared: Queryable): Promise<ReadonlySet<string>>;
  takeSchedule(schedule: Pick<SourceSchedule, "id">, shared: Queryable): Promise<boolean>;
  /** Forgets how staged jobs were taken, after they have been enqueued. */
  settle(ids: readonly string[], shared: Queryable): Promise<void>;
  /** Forgets it for all jobs: called when none is staged. */
  settleAll(): Promise<void>;
  /** Where staged jobs and schedules are now. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Whereabouts>>;
  close(): Promise<void>;
}
