import type { WorkerState } from "../intake.ts";

/** The worker for which heartbeats are sent. */
export interface Identity {
  /** graphile-worker's name for its pool, as in a job's `locked_by`. */
  readonly id: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
  /** The tasks that the worker has loaded but was started without (`--only`, `--except`). */
  readonly excluded: readonly string[];
  /** How many jobs of each queue the worker runs at a time. */
  readonly slots: Readonly<Record<string, number>> | undefined;
}

export interface ThreadOptions {
  readonly databaseUrl: string;
  readonly state: SharedArrayBuffer;
  readonly slots: readonly ArrayBufferLike[];
  /** The form in which the thread may write lines to stderr itself; undefined if it may not. It cannot use the worker's logger. */
  readonly stderr: "json" | "text" | undefined;
  /** How long the event loop may be blocked before the process is killed (ms); undefined for no limit. */
  readonly maxBlocked: number | undefined;
}

/** The requests of the main thread to the heartbeat thread. Requests with `call` get a response. */
export type Request =
  | { readonly kind: "start"; readonly identity: Identity }
  | { readonly kind: "beat"; readonly call: number }
  | { readonly kind: "stop"; readonly call: number; readonly id: string }
  | { readonly kind: "slots"; readonly buffer: ArrayBufferLike };

/** The reports of the heartbeat thread to the main thread. Times come from the host's clock. */
export type Report =
  | {
      readonly kind: "beat";
      readonly id: string;
      readonly now: Date;
      readonly before: number;
      readonly after: number;
      readonly cancelled: readonly string[];
      readonly lost: readonly string[];
      readonly state: WorkerState;
    }
  | { readonly kind: "answer"; readonly call: number; readonly jobs?: readonly string[]; readonly error?: string }
  | { readonly kind: "connection"; readonly is: "made" | "closed" }
  | { readonly kind: "connection"; readonly is: "lost"; readonly reason: string; readonly code?: string | undefined }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };
