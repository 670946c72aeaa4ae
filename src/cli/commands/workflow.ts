import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { WORKFLOW_STATES, type WorkflowState } from "../../contract/states.ts";
import type { Workflow, WorkflowStep } from "../../contract/workflows.ts";
import { positiveInteger, type RemoteFlags, time, withOperations, withRemoteOptions } from "../options.ts";
import { color, colorState, elapsed, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { parseTyped } from "../typed-json.ts";
import { jsonText } from "../visible.ts";

const STATE_COLORS: Record<WorkflowState, Parameters<typeof color>[0]> = {
  running: "blue",
  compensating: "yellow",
  cancelling: "yellow",
  completed: "green",
  failed: "red",
  cancelled: "gray",
  expired: "gray",
};

interface Flags extends RemoteFlags {
  json?: boolean;
}

export function workflowCommand(): Command {
  const command = new Command("workflow").description("start, list, show, cancel and retry workflows").addHelpText(
    "after",
    `
Examples:
  $ legwork workflow start nightly '[{"name": "a", "task": "import"}, {"name": "b", "task": "report", "dependsOn": ["a"]}]'
  $ legwork workflow list --state failed
  $ legwork workflow show 7
  $ legwork workflow retry 7`,
  );
  for (const sub of [startCommand, listCommand, showCommand, cancelCommand, retryCommand])
    command.addCommand(sub().exitOverride());
  return command;
}

function startCommand(): Command {
  return withRemoteOptions(new Command("start"))
    .description("start a workflow and print its id")
    .argument("<name>", "what kind of workflow it is")
    .argument("<steps>", "its steps, as JSON; - reads them from stdin")
    .option("--tenant <name>", "whose it is")
    .option("--correlation-id <id>", "shared by all its jobs")
    .option("--deadline <time>", "cancel what has not ended then", time)
    .option("--json", 'print {"id": …}')
    .action(async (name: string, steps: string, flags: Flags & { tenant?: string; correlationId?: string; deadline?: Date }) => {
      const parsed = parseTyped("steps", steps === "-" ? readFileSync(0, "utf8") : steps, '[{"name": "a", "task": "import"}]');
      await withOperations(flags, async (operations) => {
        const { tenant, correlationId, deadline } = flags;
        const id = await operations.startWorkflow(name, parsed, { tenant, correlationId, deadline });
        if (flags.json === true) printJson({ id });
        else console.log(id);
      });
    });
}

function listCommand(): Command {
  return withRemoteOptions(new Command("list"))
    .description("list workflows, newest first")
    .addOption(new Option("--state <state>", "only those in this state").choices(WORKFLOW_STATES))
    .option("--name <name>", "only those of this name")
    .option("--tenant <name>", "only this tenant's")
    .option("--before <id>", "only those older than this one: the next page")
    .option("--limit <number>", "how many, at most 500", (value) => Math.min(positiveInteger(value), 500), 20)
    .option("--json", "print an array of whole rows")
    .action(async (flags: Flags & { state?: WorkflowState; name?: string; tenant?: string; before?: string; limit: number }) => {
      await withOperations(flags, async (operations) => {
        const workflows = await operations.listWorkflows({
          state: flags.state,
          name: flags.name,
          tenant: flags.tenant,
          before: flags.before,
          limit: flags.limit,
        });
        if (flags.json === true) return printJson(workflows);
        if (workflows.length === 0) return console.log("No workflows.");
        printTable(
          ["id", "name", "state", "steps", "started", "took", "reason"],
          workflows.map((workflow) => [
            workflow.id,
            shorten(workflow.name, 40),
            color(STATE_COLORS[workflow.state], workflow.state),
            describeCounts(workflow),
            relativeTime(workflow.createdAt),
            elapsed(workflow.createdAt, workflow.endedAt),
            shorten(workflow.reason ?? "", 60),
          ]),
        );
        if (workflows.length === flags.limit) console.log(`\nMore: legwork workflow list --before ${workflows.at(-1)?.id}`);
      });
    });
}

function showCommand(): Command {
  return withRemoteOptions(new Command("show"))
    .description("show a workflow with its steps, each behind those it depends on")
    .argument("<id>", "the workflow's id")
    .option("--json", "print the whole row, with its steps")
    .action(async (id: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const workflow = await operations.getWorkflow(id);
        if (flags.json === true) return printJson(workflow);
        console.log(
          `${color("bold", `Workflow ${workflow.id}`)}  ${workflow.name}  ${color(STATE_COLORS[workflow.state], workflow.state)}  ${describeCounts(workflow)}`,
        );
        if (workflow.reason !== null) console.log(`  ${workflow.reason}`);
        if (workflow.deadline !== null) console.log(`  Its deadline is ${relativeTime(workflow.deadline)}.`);
        console.log();
        printTable(
          ["", "step", "state", "job", "after", "took", "result or error"],
          workflow.steps.map((step) => [
            mark(step),
            step.name,
            step.state === null ? "forgotten" : colorState(step.state),
            step.jobId,
            shorten(step.dependsOn.join(", "), 40),
            elapsed(step.startedAt, step.finishedAt),
            describeEnd(step),
          ]),
        );
      });
    });
}

function cancelCommand(): Command {
  return withRemoteOptions(new Command("cancel"))
    .description("cancel a workflow: steps that wait never start, steps that run are told to stop")
    .argument("<id>", "the workflow's id")
    .option("--reason <text>", "what its history will say")
    .option("--json", 'print {"id": …, "state": …}')
    .action(async (id: string, flags: Flags & { reason?: string }) => {
      await withOperations(flags, async (operations) => {
        const state = await operations.cancelWorkflow(id, flags.reason);
        if (flags.json === true) printJson({ id, state });
        else console.log(`Workflow ${id}: ${state === "cancelling" ? "its running steps were told to stop" : state}.`);
      });
    });
}

function retryCommand(): Command {
  return withRemoteOptions(new Command("retry"))
    .description("go on with a workflow that failed, expired or was cancelled; completed steps are kept")
    .argument("<id>", "the workflow's id")
    .option("--deadline <time>", "cancel what has not ended then", time)
    .option("--from <step>", "run that step and all behind it again, also what has completed")
    .option("--json", 'print {"id": …, "state": …}')
    .action(async (id: string, flags: Flags & { deadline?: Date; from?: string }) => {
      await withOperations(flags, async (operations) => {
        await operations.retryWorkflow(id, { deadline: flags.deadline, fromStep: flags.from });
        if (flags.json === true) printJson({ id, state: "running" });
        else console.log(`Workflow ${id}: running.`);
      });
    });
}

function describeCounts({ total, completed, failed, cancelled, expired }: Workflow): string {
  const bad = Number(failed) + Number(cancelled) + Number(expired);
  return `${completed}/${total}${bad === 0 ? "" : `, ${bad} not`}`;
}

/** How a step stands, for those who look at the shape and not at the words. */
function mark({ state }: WorkflowStep): string {
  if (state === "completed") return color("green", "✔");
  if (state === "failed") return color("red", "✘");
  if (state === "cancelled" || state === "expired") return color("gray", "–");
  return state === "running" ? color("blue", "▶") : color("gray", "·");
}

function describeEnd(step: WorkflowStep): string {
  const undone = step.compensationState === null ? "" : `undone by job ${step.compensationJobId}: ${step.compensationState}`;
  const end = step.state === "completed" ? (step.result === null ? "" : jsonText(step.result)) : (step.error ?? "");
  return shorten([end, undone].filter((part) => part !== "").join("; "), 60);
}
