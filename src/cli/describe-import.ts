import { MAX_LOOKED_AT } from "../bounds.ts";
import type { ImportReport } from "../import/import-report.ts";
import { IMPORT_STATES } from "../import/source.ts";
import { counted, formatNumber, pluralOf } from "../wording.ts";
import { color, table } from "./output.ts";
import { visible } from "./visible.ts";

/** The report of an import as lines of text. */
export function describeImport(report: ImportReport): string[] {
  return [...namesOf(report), ...schedulesOf(report), ...optionsOf(report), ...leftOf(report), ...summaryOf(report)].map(visible);
}

function namesOf({ names, from }: ImportReport): string[] {
  if (names.length === 0) return [`No jobs are waiting in ${from}.`];
  // Omit states without jobs.
  const states = IMPORT_STATES.filter((state) => names.some((row) => row[state] > 0));
  return table(
    [from.toUpperCase(), "TASK", ...states.map((state) => state.toUpperCase()), "NOT IMPORTED"],
    names.map((row) => [
      row.name,
      row.task ?? color("red", "none"),
      ...states.map((state) => number(row[state])),
      row.left === 0 ? "" : color("yellow", number(row.left)),
    ]),
  );
}

function schedulesOf({ schedules, from }: ImportReport): string[] {
  if (schedules.length === 0) return [];
  const rows = schedules.map((row) => [
    row.from,
    row.obstacle === null ? row.name : color("yellow", `stays in ${from}`),
    row.task ?? color("red", "none"),
    row.when,
  ]);
  return [
    "",
    ...table(["SCHEDULE", "IN LEGWORK", "TASK", "WHEN"], rows),
    ...schedules.flatMap(({ from: name, obstacle }) => (obstacle === null ? [] : [`${name}: ${obstacle}`])),
  ];
}

function optionsOf({ options }: ImportReport): string[] {
  if (options.length === 0) return [];
  return [
    "",
    ...table(
      ["NAME", "OPTION", "JOBS", "IN LEGWORK"],
      options.map(({ name, option, jobs, text }) => [name, option, jobs === 0 ? "" : number(jobs), text]),
    ),
  ];
}

function leftOf({ left, from, queues }: ImportReport): string[] {
  const lines = left.map(
    ({ name, reason, jobs, examples }) =>
      `${name}: ${counted(jobs, "job")}: ${reason} (${examples.join(", ")}${jobs > examples.length ? ", …" : ""})`,
  );
  for (const { name, active, ended } of queues) {
    if (active > 0) lines.push(`${name}: ${number(active)} running ${pluralOf(active, "job is", "jobs are")} left alone.`);
    if (ended > 0) lines.push(`${name}: ${number(ended)} ended ${pluralOf(ended, "job", "jobs")}: the history is not imported.`);
  }
  return lines.length === 0 ? [] : ["", color("bold", `Left in ${from}`), ...lines];
}

function summaryOf({ applied, jobs, resumed, schedules, pausedTasks, from, unmapped }: ImportReport): string[] {
  const created = schedules.filter(({ obstacle }) => obstacle === null).length;
  const what = [counted(jobs, "job"), ...(schedules.length > 0 ? [counted(created, "schedule")] : [])].join(" and ");
  const lines = [""];
  if (pausedTasks.length > 0)
    lines.push(
      `${pausedTasks.join(", ")}: ${applied ? "paused" : "will be paused"}, because ${pluralOf(pausedTasks.length, "its queue is", "their queues are")} paused in ${from}. \`legwork resume --task NAME\` starts the jobs.`,
    );
  if (resumed > 0) lines.push(`Completed an import that had been interrupted: ${counted(resumed, "job")}.`);
  if (applied) lines.push(`Imported ${what} from ${from}.`);
  else
    lines.push(
      `Would import ${what} from ${from}. Nothing has been changed.${unmapped.length === 0 && jobs + created > 0 ? " Add --apply to import them." : ""}`,
    );
  return lines;
}

/** Formats a count. Counting stops at a maximum, because counting more jobs would take long. */
function number(count: number): string {
  return count === MAX_LOOKED_AT + 1 ? `${formatNumber(MAX_LOOKED_AT)}+` : formatNumber(count);
}
