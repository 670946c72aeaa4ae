import pino from "pino";
import { type Logger, type LogLevel, withoutSecrets } from "../../log.ts";
import { color, elapsed } from "../output.ts";
import { visible } from "../visible.ts";
import { frameOf } from "../../worker/error-place.ts";

/** The events of level info that are shown. Other events of that level concern the worker, not its jobs. */
const SHOWN = new Set(["job_completed", "job_cancelled", "job_expired", "job_put_back", "job_given_back", "isolate_ended"]);

/** Fields that every line has, or whose values are already in the text. */
const TOLD = new Set(["level", "time", "pid", "hostname", "msg", "worker", "jobId", "task", "correlationId", "event", "err"]);

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly event?: string;
  readonly jobId?: string;
  readonly task?: string;
  readonly durationMs?: number;
  readonly err?: { readonly message?: string; readonly stack?: string };
  readonly [field: string]: unknown;
}

/** The log of `legwork dev`: a readable line for each job that ends, for what its task logs, and for each problem. Goes to stdout. */
export function devLog(level: LogLevel): Logger {
  const isDetailed = level === "debug" || level === "trace";
  const write = (text: string): void => {
    const line = JSON.parse(text) as Line;
    if (isDetailed || isShown(line)) console.log(describeLine(line));
  };
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    withoutSecrets({ write }),
  );
}

function isShown({ level, event, jobId }: Line): boolean {
  return level !== "info" || (event === undefined ? jobId !== undefined : SHOWN.has(event));
}

/** A line such as `12:04:33 ✓ hello #12 completed in 34 ms`. */
function describeLine(line: Line): string {
  const { level, event, jobId, task, durationMs } = line;
  const about = jobId === undefined ? "" : `${color("bold", visible(task ?? "job"))} #${jobId} `;
  const took = durationMs === undefined ? "" : ` in ${elapsed(new Date(0), new Date(durationMs))}`;
  if (event === "job_completed") return `${clock(line)} ${color("green", "✓")} ${about}completed${took}`;
  const text = visible(line.msg ?? "").replace(/^Job /, "");
  if (event === "job_failed") {
    const place = line.err?.stack === undefined ? undefined : frameOf(line.err.stack, process.cwd());
    return `${clock(line)} ${color("red", "✗")} ${about}${text}${place === undefined ? "" : color("dim", `  ${place}`)}`;
  }
  const sign = level === "info" || level === "debug" || level === "trace" ? "·" : color("yellow", "!");
  return `${clock(line)} ${sign} ${about}${text}${fieldsOf(line)}`;
}

/** The fields that a task logs, on the same line. */
function fieldsOf({ level, event, err, ...line }: Line): string {
  const fields = Object.fromEntries(Object.entries(line).filter(([name]) => !TOLD.has(name)));
  // The worker's own lines are shown without fields, because their text is sufficient.
  const isTasks = event === undefined && line.jobId !== undefined;
  const error = err?.message === undefined || line.msg?.includes(err.message) === true ? "" : ` ${visible(err.message)}`;
  const shown =
    Object.keys(fields).length === 0 || (!isTasks && level !== "debug")
      ? ""
      : ` ${color("dim", visible(JSON.stringify(fields)))}`;
  return error + shown;
}

function clock({ time }: Line): string {
  return color("dim", new Date(time).toTimeString().slice(0, 8));
}
