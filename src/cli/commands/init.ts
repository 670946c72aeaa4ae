import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { LegworkError, toError } from "../../errors.ts";
import { counted } from "../../wording.ts";
import { describeChange } from "../init/describe-changes.ts";
import { findTasks, type TaskPlace } from "../init/find-tasks.ts";
import { type NextStep, nextSteps, projectNotes } from "../init/next-steps.ts";
import { type Change, planChanges } from "../init/plan-changes.ts";
import { type Project, readProject } from "../init/read-project.ts";
import { color, printJson } from "../output.ts";

interface Flags {
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function initCommand(): Command {
  return new Command("init")
    .description("Set up Legwork in the project in this folder: a task, scripts, and the commands to run next")
    .option("--yes", "Make the changes without asking")
    .option("--dry-run", "Only show the changes")
    .option("--json", 'Print {"changes", "applied", "next"}; makes the changes only with --yes')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork init              Show the changes, then ask
  $ legwork init --dry-run    Show the changes
  $ legwork init --yes        In a script

It never overwrites a file, does not touch .env, and does nothing when it is run again. Tasks and the crontab of graphile-worker
stay where they are, and Legwork runs them.`,
    )
    .action(async ({ yes = false, dryRun = false, json = false }: Flags) => {
      const project = readProject(process.cwd());
      const tasks = await findTasks(project);
      const changes = planChanges(project, tasks);
      const steps = nextSteps(project, !tasks.hasTasks || hasSample(project, tasks));
      const isAsking = !yes && !dryRun && !json;
      if (!json) show(project, tasks, changes);
      if (changes.length > 0 && isAsking && !(await confirm())) {
        console.log("Nothing was changed.");
        return;
      }
      const applies = changes.length > 0 && !dryRun && (yes || isAsking);
      if (applies) for (const change of changes) apply(project.directory, change);
      if (json) {
        const listed = changes.map(({ path, before }) => ({ path, change: before === undefined ? "create" : "edit" }));
        printJson({ changes: listed, applied: applies, next: steps });
      } else if (!dryRun) {
        console.log(changes.length === 0 ? "Nothing to do.\n" : `Done: ${counted(changes.length, "file")}.\n`);
        showNext(project, steps);
      }
    });
}

function show(project: Project, { directories, crontab, hasTasks }: TaskPlace, changes: readonly Change[]): void {
  const found = [
    project.packageManager,
    project.isTypeScript ? "TypeScript" : "JavaScript",
    project.isModule ? "ES modules" : "CommonJS",
    project.framework,
    project.database?.name,
    project.graphileWorker === undefined ? undefined : `graphile-worker ${project.graphileWorker}`,
    hasTasks ? `tasks in ${directories.join(", ")}` : undefined,
    crontab === undefined ? undefined : `schedules in ${crontab}`,
    project.databaseUrlFrom === undefined ? "no DATABASE_URL" : `DATABASE_URL in ${project.databaseUrlFrom}`,
  ];
  console.log(`Found: ${found.filter((one) => one !== undefined).join(" · ")}\n`);
  for (const change of changes) console.log(`${describeChange(change).join("\n")}\n`);
}

/** Asks for confirmation on a terminal. Throws LW400 if there is no terminal; the changes have been shown by then. */
async function confirm(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new LegworkError("LW400", "Nothing was changed, because confirming the changes requires a terminal.", {
      hint: "Add --yes to make these changes, or --dry-run to only show them.",
    });
  }
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new Promise<string>((resolve) => prompt.once("close", () => resolve("no")));
  const answer = await Promise.race([prompt.question("Make these changes? [Y/n] "), closed]);
  prompt.close();
  return /^\s*(y(es)?)?\s*$/i.test(answer);
}

/** Whether the project still has the sample task that an earlier run created. */
function hasSample({ directory }: Project, { directories }: TaskPlace): boolean {
  return directories.some((one) => ["hello.ts", "hello.mts", "hello.js"].some((file) => existsSync(join(directory, one, file))));
}

/** Throws LW409 for a file that has changed since it was read, and LW403 for one that cannot be written. */
function apply(directory: string, { path, before, after }: Change): void {
  const file = join(directory, path);
  const now = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  if (now !== before) {
    throw new LegworkError("LW409", `${path} has been changed by another program in the meantime.`, {
      hint: "Run `legwork init` again.",
    });
  }
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, after, { flag: before === undefined ? "wx" : "w" });
  } catch (error) {
    throw new LegworkError("LW403", `${path} cannot be written: ${toError(error).message}.`, {
      hint: "Grant this user write access, then run `legwork init` again.",
      cause: error,
    });
  }
}

function showNext(project: Project, steps: readonly NextStep[]): void {
  console.log(color("bold", "Next:"));
  for (const { command, purpose } of steps) console.log(`  ${command}\n      ${color("dim", purpose)}`);
  const notes = projectNotes(project);
  if (notes.length > 0) console.log(`\n${notes.map((note) => `- ${note}`).join("\n")}`);
}
