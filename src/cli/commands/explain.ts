import { Command } from "commander";
import { LegworkError } from "../../errors.ts";
import { argument } from "../command-wording.ts";
import type { Reason } from "../../jobs/explain-job.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, indented, printJson } from "../output.ts";

type Explain = (operations: Operations, name: string) => Promise<Reason[]>;

/** What can be explained other than jobs, by the word that precedes the name. */
const KINDS: Readonly<Record<string, Explain>> = {
  queue: (operations, name) => operations.explainQueue(name),
  schedule: (operations, name) => operations.explainSchedule(name),
  worker: (operations, id) => operations.explainWorker(id),
  workflow: (operations, id) => operations.explainWorkflow(id),
};

export function explainCommand(): Command {
  return withRemoteOptions(new Command("explain"))
    .description("Show why a job is not running, or why a schedule, queue, workflow or worker does not work as expected")
    .argument("<id>", "Id of the job; or the word schedule, queue, workflow or worker, followed by a name")
    .argument("[name]", "Name of the schedule or queue, or id of the workflow or worker")
    .option("--json", "Print an array of reasons")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork explain 42
  $ legwork explain schedule cleanup
  $ legwork explain queue mail
  $ legwork explain workflow 7 --json
  $ legwork explain worker pool-1f2e3d`,
    )
    .action(async (id: string, name: string | undefined, flags: RemoteFlags & { json?: boolean }) => {
      const { json } = flags;
      await withOperations(flags, async (operations) => {
        const reasons = await explainWhat(operations, id, name);
        if (json === true) return printJson(reasons);
        if (name === undefined) await printOrigin(operations, id);
        for (const { position, detail, fix } of reasons) {
          const number = reasons.length > 1 ? `${position}. ` : "";
          const columns = number.length || 3;
          console.log(
            `${color("bold", indented(`${number}${detail}`, columns))}\n${" ".repeat(number.length)}${indented(fix, columns)}`,
          );
        }
      });
    });
}

async function explainWhat(operations: Operations, what: string, name: string | undefined): Promise<Reason[]> {
  const explain = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined;
  if (name === undefined) {
    if (/^-?\d+$/.test(what)) return await operations.explainJob(what);
    throw await namedOtherwise(operations, what, explain !== undefined);
  }
  if (explain !== undefined) return await explain(operations, name);
  throw new LegworkError("LW400", `Cannot explain '${what} ${name}'.`, {
    hint: "Write `legwork explain <id>` for a job, or `legwork explain schedule|queue|workflow|worker <name>`.",
  });
}

/** The error for a word that is not a job id. Its message says what has that name, if anything. */
async function namedOtherwise(operations: Operations, word: string, isKind: boolean): Promise<LegworkError> {
  const [schedules, queues] = await Promise.all([operations.listSchedules({}), operations.listQueues()]);
  const kinds = [
    ...(schedules.some(({ name }) => name === word) ? ["schedule"] : []),
    ...(queues.some(({ name }) => name === word) ? ["queue"] : []),
  ];
  if (kinds.length === 0 && isKind) {
    return new LegworkError("LW400", `Which ${word} should be explained?`, { hint: `Write \`legwork explain ${word} <name>\`.` });
  }
  if (kinds.length > 0) {
    return new LegworkError("LW400", `'${word}' is not a job id. It is the name of a ${kinds.join(" and of a ")}.`, {
      hint: `Write ${kinds.map((kind) => `\`legwork explain ${kind} ${argument(word)}\``).join(" or ")}.`,
    });
  }
  return new LegworkError("LW400", `'${word}' is not a job id.`, {
    hint: "Ids are whole numbers, as `legwork jobs` lists them. For anything else, write `legwork explain schedule|queue|workflow|worker <name>`.",
  });
}

async function printOrigin(operations: Operations, id: string): Promise<void> {
  const { schedule, scheduleDueAt: dueAt } = await operations.getJob(id);
  if (schedule !== null) console.log(`Schedule '${schedule}' enqueued it for ${dueAt?.toISOString()}.`);
}
