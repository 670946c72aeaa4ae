/** What is to be known of the worker that a heartbeat stands for. */
export interface Identity {
  /** graphile-worker's name for its pool, as in a job's `locked_by`. */
  readonly id: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
}

export interface ThreadOptions {
  readonly databaseUrl: string;
  readonly state: SharedArrayBuffer;
  readonly slots: readonly ArrayBufferLike[];
  /** Whether the thread may write lines to stderr itself, and in which form; it cannot use a logger that was given. */
  readonly stderr: "json" | "text" | undefined;
  /** How long the event loop may be held up before the process is killed (ms); undefined for any time. */
  readonly maxBlocked: number | undefined;
}

/** What the main thread asks of the heartbeat thread. `call` is answered. */
export type Request =
  | { readonly kind: "start"; readonly identity: Identity }
  | { readonly kind: "beat"; readonly call: number }
  | { readonly kind: "stop"; readonly call: number; readonly id: string }
  | { readonly kind: "slots"; readonly buffer: ArrayBufferLike };

/** What the heartbeat thread tells the main thread. Moments are of the machine's clock. */
export type Report =
  | {
      readonly kind: "beat";
      readonly id: string;
      readonly now: Date;
      readonly before: number;
      readonly after: number;
      readonly cancelled: readonly string[];
      readonly lost: readonly string[];
    }
  | { readonly kind: "answer"; readonly call: number; readonly jobs?: number; readonly error?: string }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };
