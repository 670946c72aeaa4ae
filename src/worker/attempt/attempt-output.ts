import { stdSerializers } from "pino";
import { LegworkError } from "../../errors.ts";
import { hideSecrets, hideSecretsInText } from "../../hide-secrets.ts";
import type { Progress } from "../../jobs/define-task.ts";
import type { RunningJob } from "../../jobs/running-job.ts";
import type { DatabaseClock } from "../clock.ts";
import { cut, describeThrown, isError, MESSAGE_LIMIT, storableText } from "../../thrown.ts";
import { counted } from "../../wording.ts";
import { storable } from "../graphile/outcomes.ts";
import { LogTail } from "./log-tail.ts";
import type { Redaction } from "./redaction.ts";

/** The largest fields of a log line that are stored in full (bytes of JSON). */
export const FIELDS_LIMIT = 4 * 1024;
/** The longest stack trace in the fields of a log line (characters). It leaves room for the other fields. */
const STACK_LIMIT = 2_000;

/** The destination of an attempt's log lines and progress. */
export interface OutputSink {
  /** Stores a log line of an attempt, as JSON. If an attempt has too many lines, only the first and the last ones are stored. */
  keep(attempt: AttemptOutput, json: string): void;
  /** Arranges for the last lines of an attempt that has ended to be stored soon. */
  end(attempt: AttemptOutput): void;
  /** Records that an attempt has new progress; the latest value is sent later. */
  report(attempt: AttemptOutput): void;
}

/** Converts the log lines and the progress of one attempt to the form and size in which they are stored. */
export class AttemptOutput {
  readonly job: RunningJob;
  /** The attempt's last lines, if it has too many to store all of them. */
  readonly tail = new LogTail();
  readonly #sink: OutputSink;
  readonly #clock: DatabaseClock;
  readonly #redaction: Redaction | undefined;
  #percent: number | null = null;
  #message: string | null = null;
  #reportedAt = 0;

  constructor(job: RunningJob, environment: { output: OutputSink; clock: DatabaseClock }, redaction: Redaction | undefined) {
    this.job = job;
    this.#sink = environment.output;
    this.#clock = environment.clock;
    this.#redaction = redaction;
  }

  /** Reports progress. Throws LW400 for an invalid percentage, and for a message that is not text. */
  progress(percent: number | Progress, message?: string): void {
    const given = typeof percent === "object" && percent !== null ? percent : { percent, message };
    if (given.percent !== undefined && !(typeof given.percent === "number" && given.percent >= 0 && given.percent <= 100)) {
      throw new LegworkError("LW400", `progress: ${String(given.percent)} is not a percentage.`, {
        hint: "Pass a number from 0 to 100, as in progress(40, 'Reading') or progress({ message: 'Reading' }).",
      });
    }
    if (given.message !== undefined && typeof given.message !== "string") {
      throw new LegworkError("LW400", `progress: the message must be text, not a value of type ${typeof given.message}.`, {
        hint: "For example: progress(40, 'Reading').",
      });
    }
    if (given.percent !== undefined) this.#percent = given.percent;
    if (given.message !== undefined) this.#message = this.#text(given.message);
    this.#reportedAt = this.#clock.now();
    this.#sink.report(this);
  }

  /** Returns the progress as JSON for `legwork_private.record_output`. */
  describeProgress(): string {
    const { id, attempts } = this.job;
    return JSON.stringify({
      job_id: id,
      attempt: attempts,
      percent: this.#percent,
      message: this.#message,
      at: this.#reportedAt,
    });
  }

  log(level: string, message: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    this.#sink.keep(this, this.#describe(level, this.#text(message), this.#fields(fields)));
  }

  /** Returns a line that stands for lines that could not be stored in time. */
  describeLoss(lines: number): string {
    return this.#describe("warn", `… ${counted(lines, "line")} could not be stored.`, "null");
  }

  /** Returns a line as JSON for `legwork_private.record_output`. */
  #describe(level: string, message: string, fields: string): string {
    const { id, attempts, tenant } = this.job;
    const line = { job_id: id, attempt: attempts, at: this.#clock.now(), level, message, tenant };
    return `${JSON.stringify(line).slice(0, -1)},"fields":${fields}}`;
  }

  #text(text: string): string {
    return storableText(cut(hideSecretsInText(this.#redaction?.text(text) ?? text), MESSAGE_LIMIT));
  }

  #fields(fields: Readonly<Record<string, unknown>> | undefined): string {
    if (fields === undefined) return "null";
    const plain = plainFields(fields, this.#redaction);
    if (Object.keys(plain).length === 0) return "null";
    const json = JSON.stringify(plain);
    const bytes = Buffer.byteLength(json);
    if (bytes <= FIELDS_LIMIT) return storable(json);
    return storable(JSON.stringify({ "legwork:cut": { bytes, start: json.slice(0, 1_000).toWellFormed() } }));
  }
}

/**
 * Converts the fields of a log line to JSON: errors become objects; values that the process's log censors or the task redacts
 * are removed. Never throws.
 */
export function plainFields(
  fields: Readonly<Record<string, unknown>>,
  redaction: Redaction | undefined,
): Readonly<Record<string, unknown>> {
  try {
    const described = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, describeError(value)]));
    const plain = hideSecrets(
      JSON.parse(JSON.stringify(described, (_key, value) => (typeof value === "bigint" ? String(value) : value))),
    );
    return (redaction?.value(plain) ?? plain) as Record<string, unknown>;
  } catch {
    return { "legwork:cut": "These fields cannot be written as JSON." };
  }
}

function describeError(value: unknown): unknown {
  if (!isError(value)) return value;
  try {
    const described = stdSerializers.err(value);
    return { ...described, stack: described.stack === undefined ? undefined : cut(described.stack, STACK_LIMIT) };
  } catch {
    const { name, message, stack, code } = describeThrown(value);
    return { type: name, message, code, stack: stack === undefined ? undefined : cut(stack, STACK_LIMIT) };
  }
}
