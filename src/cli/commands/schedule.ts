import { Command, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import { describeCron } from "../../schedules/describe-cron.ts";
import type { Schedule } from "../../contract/schedules.ts";
import { formatLocal } from "../../schedules/local-time.ts";
import { previewSchedule, type PreviewOptions } from "../../schedules/preview-schedule.ts";
import type { ScheduleOptions, Timing } from "../../schedules/schedule.ts";
import type { Operations } from "../operations/operations.ts";
import { ATTEMPTS, PRIORITIES } from "../../bounds.ts";
import { calendarDuration, listLimit, time, wholeNumber } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, colorState, printDone, printJson, printTable, relativeTime } from "../output.ts";
import { parseTyped } from "../typed-json.ts";
import { formatNumber } from "../../wording.ts";
import { durationText } from "../duration-text.ts";
import { jsonText } from "../visible.ts";

type Flags = RemoteFlags & { json?: boolean };
type TimingFlags = { cron?: string; every?: string; at?: Date; timezone?: string; startsAt?: Date; endsAt?: Date };
type AddFlags = Flags &
  TimingFlags &
  Omit<ScheduleOptions, keyof Timing | "payload" | "requires"> & { requires?: Record<string, string> };

export function scheduleCommand(): Command {
  const command = new Command("schedule").description("Create, list and change schedules").addHelpText(
    "after",
    `
Examples:
  $ legwork schedule add cleanup retention/expire --cron '30 2 * * *' --timezone Europe/Berlin
  $ legwork schedule list
  $ legwork schedule show cleanup`,
  );
  for (const subcommand of [add, list, show, preview, enable, disable, run, remove])
    command.addCommand(subcommand().exitOverride());
  return command;
}

function add(): Command {
  return withTiming(withRemoteOptions(new Command("add")))
    .description("Create a schedule, or replace the one with this name")
    .argument("<name>", "Name of the schedule")
    .argument("<task>", "Task to run")
    .argument("[payload]", "JSON passed to the task", "{}")
    .option("--max-runs <number>", "Number of jobs after which the schedule ends", wholeNumber())
    .option("--jitter <duration>", "Maximum random delay before a job starts", calendarDuration)
    .addOption(
      new Option("--overlap <policy>", "Handling of an occurrence while earlier jobs have not ended (default: allow)").choices([
        "allow",
        "skip",
        "queue",
        "cancel",
      ]),
    )
    .option(
      "--max-instances <number>",
      "Number of the schedule's jobs that may run at once (default: 1; with --overlap queue, 100)",
      wholeNumber(),
    )
    .addOption(
      new Option("--missed <policy>", "Which missed occurrences are enqueued late (default: one)").choices([
        "none",
        "one",
        "all",
      ]),
    )
    .option(
      "--missed-window <duration>",
      "Maximum age of occurrences that are enqueued late, with --missed all (default: 1d)",
      calendarDuration,
    )
    .option(
      "--requires <name=duration>",
      "Schedule whose last run must have completed within this time, such as cleanup=24h (repeatable)",
      requirement,
    )
    .option("--requires-wait <duration>", "Time that an occurrence waits for --requires (default: 1h)", calendarDuration)
    .option("--tenant <name>", "Tenant that the schedule belongs to")
    .option("--priority <number>", "Priority of the jobs; smaller numbers run first (default: 0)", wholeNumber(...PRIORITIES))
    .option(
      "--max-attempts <number>",
      "Number of attempts before a job fails permanently (default: 25)",
      wholeNumber(...ATTEMPTS),
    )
    .option("--disabled", "Create the schedule disabled")
    .option("--json", "Print the schedule")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork schedule add cleanup retention/expire --cron '30 2 * * *' --timezone Europe/Berlin
  $ legwork schedule add health health/probe '{"database": true}' --every 5m --overlap skip
  $ legwork schedule add report report/weekly --cron '0 3 * * SUN' --requires cleanup=24h`,
    )
    .action(async (name: string, task: string, payload: string, flags: AddFlags & { disabled?: boolean }) => {
      const { json, disabled, cron, every, at, ...options } = ownFlags(flags);
      await withOperations(flags, async (operations) => {
        const made = await operations.schedule(name, task, {
          ...options,
          ...timingOf({ cron, every, at }),
          ...(disabled === true ? { enabled: false } : {}),
          payload: parseTyped("payload", payload),
        });
        if (json === true) return printJson(made);
        console.log(
          `Schedule '${name}': ${made.sentence} (${made.timezone}). Next: ${when(made.nextAt, made.timezone) || "none"}.`,
        );
      });
    });
}

function list(): Command {
  return withRemoteOptions(new Command("list"))
    .description("List schedules with their next and last occurrences, including those from the crontab")
    .option("--tenant <name>", "Only this tenant's schedules")
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork schedule list\n  $ legwork schedule list --tenant acme --json")
    .action(async (flags: Flags & { tenant?: string }) => {
      const { json, tenant } = flags;
      await withOperations(flags, async (operations) => {
        const schedules = await operations.listSchedules(tenant === undefined ? {} : { tenant });
        if (json === true) return printJson(schedules);
        if (schedules.length === 0) return console.log("No schedules.");
        printTable(
          ["NAME", "TASK", "WHEN", "ZONE", "NEXT", "LAST", "OUTCOME"],
          schedules.map((row) => [
            row.name,
            row.task,
            row.sentence,
            row.timezone,
            row.isEnabled ? when(row.nextAt, row.timezone) || "ended" : color("yellow", "disabled"),
            relativeTime(row.lastDueAt),
            outcome(row),
          ]),
          ["ZONE", "LAST", "OUTCOME", "TASK"],
        );
      });
    });
}

function show(): Command {
  return withRemoteOptions(new Command("show"))
    .description("Show a schedule with its next occurrences and the outcomes of the last ones")
    .argument("<name>", "Name of the schedule")
    .option("--limit <number>", "Number of past occurrences, at most 500", listLimit, 10)
    .option("--json", "Print the schedule with its past occurrences")
    .addHelpText("after", "\nExamples:\n  $ legwork schedule show cleanup\n  $ legwork schedule show cleanup --limit 50 --json")
    .action(async (name: string, flags: Flags & { limit: number }) => {
      const { json, limit } = flags;
      await withOperations(flags, async (operations) => {
        const row = await operations.getSchedule(name);
        const runs = await operations.listScheduleRuns(name, { limit });
        if (json === true) return printJson({ ...row, runList: runs });
        console.log(
          `${color("bold", row.name)}  ${row.sentence} (${row.timezone})${row.isEnabled ? "" : color("yellow", `  ${disabled(row)}`)}`,
        );
        const facts: [string, string | null][] = [
          ["task", row.task],
          ["cron", row.cron],
          ["every", row.every === null ? null : durationText(row.every)],
          ["payload", row.payload === null ? null : jsonText(row.payload)],
          [
            "window",
            [row.startsAt, row.endsAt].some((bound) => bound !== null) ? `${iso(row.startsAt)} to ${iso(row.endsAt)}` : null,
          ],
          ["runs", describeRuns(row)],
          ["overlap", row.maxInstances === null ? null : `${row.overlap}, at most ${row.maxInstances} at a time`],
          [
            "missed",
            [row.missed, row.missedWindow === null ? null : durationText(row.missedWindow)]
              .filter((part) => part !== null)
              .join(" within "),
          ],
          ["requires", row.requires === null ? null : jsonText(row.requires)],
          ["tenant", row.tenant],
          ["source", row.source === "crontab" ? "the crontab file; change it there" : null],
          ["problem", row.problem],
        ];
        for (const [label, value] of facts) if (value !== null) console.log(`  ${label.padEnd(9)} ${value}`);
        console.log((row.upcoming ?? []).length === 0 ? "\nThere is no next occurrence." : "\nNext:");
        for (const at of row.upcoming ?? []) console.log(`  ${when(at, row.timezone)}`);
        if (runs.length === 0) return;
        console.log("");
        printTable(
          ["DUE", "STATE", "JOB", "OUTCOME", "OCCURRENCES", "REASON"],
          runs.map((run) => [
            formatLocal(run.dueAt, row.timezone),
            run.state,
            run.jobId ?? "",
            run.outcome === null ? "" : colorState(run.outcome),
            run.occurrences === "1"
              ? ""
              : `${run.occurrences === null ? "?" : formatNumber(run.occurrences)}, until ${formatLocal(run.lastDueAt, row.timezone)}`,
            run.reason ?? "",
          ]),
          ["OCCURRENCES", "JOB", "OUTCOME"],
        );
      });
    });
}

function disabled({ disabledAt, disabledBy }: Schedule): string {
  return disabledAt === null ? "disabled" : `disabled ${relativeTime(disabledAt)} by ${disabledBy}`;
}

function preview(): Command {
  return withTiming(withRemoteOptions(new Command("preview")))
    .description("List the next occurrences of a schedule, or of a cron expression, interval or time, in local time and UTC")
    .argument("[name]", "Name of a schedule; without a name, specify --cron, --every or --at")
    .option("--count <number>", "Number of occurrences, at most 1,000", wholeNumber(1, 1_000), 10)
    .option("--from <time>", "Time of the earliest occurrence (default: now)", time)
    .option("--json", "Print an array of {at, local}")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork schedule preview --cron '30 2 * * *' --timezone Europe/Berlin --from 2027-03-27T00:00:00Z
  $ legwork schedule preview cleanup --count 20`,
    )
    .action(async (name: string | undefined, flags: Flags & TimingFlags & { count: number; from?: Date }) => {
      const { json, cron, every, at, ...options } = ownFlags(flags);
      const print = async (
        look: Operations["previewSchedule"],
        timing: Timing,
        extra: Omit<PreviewOptions, "client">,
        sentence: string,
      ): Promise<void> => {
        const times = await look(timing, extra);
        if (json === true) return printJson(times);
        console.log(`${sentence} (${extra.timezone ?? "UTC"})`);
        for (const { at, local } of times) console.log(`  ${local}   ${at.toISOString()}   ${relativeTime(at)}`);
        if (times.length === 0) console.log("  No occurrences.");
      };
      if (name === undefined) {
        const timing = timingOf({ cron, every, at });
        if (timing.every === undefined) {
          return await print(previewSchedule, timing, options, timing.cron === undefined ? "Once" : describeCron(timing.cron));
        }
        return await withOperations(flags, (operations) =>
          print(operations.previewSchedule, timing, options, `Every ${durationText(String(timing.every))}`),
        );
      }
      await withOperations(flags, async (operations) => {
        const row = await operations.getSchedule(name);
        const timing = timingOf({ cron: row.cron ?? undefined, every: row.every ?? undefined, at: row.at ?? undefined });
        // The occurrences of an interval depend on its start, so begin with the schedule's next occurrence.
        const bounds = {
          startsAt: row.startsAt ?? (timing.every === undefined ? undefined : ((row.upcoming ?? [])[0] ?? undefined)),
          endsAt: row.endsAt ?? undefined,
        };
        await print(operations.previewSchedule, timing, { timezone: row.timezone, ...bounds, ...options }, row.sentence);
      });
    });
}

function enable(): Command {
  return named("enable", "Enable a schedule", async (operations, name) => {
    const next = await operations.enableSchedule(name);
    return [{ enabled: true, nextAt: next }, `Schedule '${name}' is enabled. Next: ${next === null ? "none" : nextTime(next)}.`];
  });
}

function disable(): Command {
  return named("disable", "Disable a schedule: it enqueues no jobs until it is enabled again", async (operations, name) => {
    const disabled = await operations.disableSchedule(name);
    return [{ enabled: false, disabled }, `Schedule '${name}' ${disabled ? "is" : "was already"} disabled.`];
  });
}

function run(): Command {
  return named("run", "Enqueue a schedule's job now and print the job's id", async (operations, name) => {
    const jobId = await operations.runSchedule(name);
    return [{ jobId }, jobId];
  });
}

function remove(): Command {
  return named("remove", "Remove a schedule; its jobs and the record of its runs are kept", async (operations, name) => {
    await operations.unschedule(name);
    return [{ removed: true }, `Schedule '${name}' has been removed.`];
  });
}

function named(
  verb: string,
  description: string,
  work: (operations: Operations, name: string) => Promise<[done: object, text: string]>,
): Command {
  return withRemoteOptions(new Command(verb))
    .description(description)
    .argument("<name>", "Name of the schedule")
    .option("--json", "Print an object with the schedule's name and the result")
    .addHelpText("after", `\nExamples:\n  $ legwork schedule ${verb} cleanup`)
    .action(async (name: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const [done, text] = await work(operations, name);
        printDone(flags.json, { name, ...done }, text);
      });
    });
}

function withTiming(command: Command): Command {
  return command
    .option("--cron <expression>", "Cron expression of five fields, six with seconds first, or a shortcut such as @daily")
    .option("--every <duration>", "Time between occurrences, such as 30s, 5m, 1d or '1 month'", calendarDuration)
    .option("--at <time>", "Time of a single occurrence", time)
    .option("--timezone <zone>", "Time zone, such as Europe/Berlin (default: UTC)")
    .option("--starts-at <time>", "Earliest time of an occurrence", time)
    .option("--ends-at <time>", "Latest time of an occurrence", time);
}

function timingOf({ cron, every, at }: TimingFlags): Timing {
  const given = [cron, every, at].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new LegworkError("LW400", "Exactly one of --cron, --every and --at is required.", {
      hint: "For example --cron '30 2 * * *', --every 5m or --at 2027-01-01T10:00:00Z.",
    });
  }
  return (cron === undefined ? (every === undefined ? { at } : { every }) : { cron }) as Timing;
}

function requirement(value: string, previous: Record<string, string> | undefined): Record<string, string> {
  const at = value.lastIndexOf("=");
  return { ...previous, [value.slice(0, Math.max(at, 0)) || value]: at > 0 ? calendarDuration(value.slice(at + 1)) : "24h" };
}

/** "12 of 100" with a maximum, else "12". */
function describeRuns({ runs, maxRuns }: Schedule): string | null {
  if (runs === null) return null;
  return maxRuns === null ? formatNumber(runs) : `${formatNumber(runs)} of ${formatNumber(maxRuns)}`;
}

/** "in 3 h, 2026-11-26 02:30:00": how soon, and the local time. */
function when(at: Date | null, timezone: string): string {
  return at === null ? "" : `${nextTime(at)}, ${formatLocal(at, timezone)}`;
}

/** When an occurrence is due: "in 3 min"; "due 3 s ago" if no worker has fired it yet. */
function nextTime(at: Date): string {
  const text = relativeTime(at);
  return text.endsWith(" ago") ? `due ${text}` : text;
}

function iso(at: Date | null): string {
  return at?.toISOString() ?? "…";
}

function outcome({ lastState: state, lastOutcome: job }: Schedule): string {
  if (job !== null && (state === "enqueued" || state === "manual")) return colorState(job);
  return state === null ? "" : color(state === "enqueued" || state === "manual" ? "white" : "yellow", state.replace("_", " "));
}
