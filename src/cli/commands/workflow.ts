import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { WORKFLOW_STATES, type WorkflowState } from "../../contract/states.ts";
import type { Workflow, WorkflowStep } from "../../contract/workflows.ts";
import { idArgument, idOf, listLimit, time } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, colorState, elapsed, printJson, printTable, relativeTime } from "../output.ts";
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
  const command = new Command("workflow").description("Start, list, show, cancel and retry workflows").addHelpText(
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
    .description("Start a workflow and print its id")
    .argument("<name>", "Name of the workflow")
    .argument("<steps>", "Workflow steps as a JSON array; - reads them from stdin")
    .option("--tenant <name>", "Tenant that the workflow belongs to")
    .option("--correlation-id <text>", "Id shared by all jobs of the workflow")
    .option("--deadline <time>", "Time at which workflow steps that have not ended are cancelled", time)
    .option("--json", 'Print {"id": …}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork workflow start nightly '[{"name": "a", "task": "import"}, {"name": "b", "task": "report", "dependsOn": ["a"]}]'
  $ legwork workflow start nightly - --deadline 2026-12-24T18:00:00Z < steps.json`,
    )
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
    .description("List workflows, newest first")
    .addOption(new Option("--state <state>", "Only workflows in this state").choices(WORKFLOW_STATES))
    .option("--name <name>", "Only workflows with this name")
    .option("--tenant <name>", "Only this tenant's workflows")
    .option("--before <id>", "Only workflows older than this one, for the next page", idOf("a workflow"))
    .option("--limit <number>", "Number of workflows, at most 500", listLimit, 20)
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork workflow list\n  $ legwork workflow list --state failed --name nightly")
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
          ["ID", "NAME", "STATE", "STEPS", "STARTED", "TOOK", "REASON"],
          workflows.map((workflow) => [
            workflow.id,
            workflow.name,
            color(STATE_COLORS[workflow.state], workflow.state),
            describeCounts(workflow),
            relativeTime(workflow.createdAt),
            elapsed(workflow.createdAt, workflow.endedAt),
            workflow.reason ?? "",
          ]),
          ["TOOK", "STARTED", "STEPS"],
        );
        if (workflows.length === flags.limit) console.log(`\nMore: legwork workflow list --before ${workflows.at(-1)?.id}`);
      });
    });
}

function showCommand(): Command {
  return withRemoteOptions(new Command("show"))
    .description("Show a workflow with its workflow steps, each after its dependencies")
    .argument("<id>", "Id of the workflow", idArgument("workflow"))
    .option("--json", "Print the complete row with its workflow steps")
    .addHelpText("after", "\nExamples:\n  $ legwork workflow show 7\n  $ legwork workflow show 7 --json")
    .action(async (id: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const workflow = await operations.getWorkflow(id);
        if (flags.json === true) return printJson(workflow);
        console.log(
          `${color("bold", `Workflow ${workflow.id}`)}  ${workflow.name}  ${color(STATE_COLORS[workflow.state], workflow.state)}  ${describeCounts(workflow)}`,
        );
        if (workflow.reason !== null) console.log(`  ${workflow.reason}`);
        if (workflow.deadline !== null) {
          const verb = workflow.deadline.getTime() < Date.now() ? "was" : "is";
          console.log(`  Its deadline ${verb} ${relativeTime(workflow.deadline)}.`);
        }
        console.log();
        printTable(
          ["", "STEP", "STATE", "JOB", "DEPENDS ON", "TOOK", "RESULT OR ERROR"],
          workflow.steps.map((step) => [
            mark(step),
            step.name,
            step.state === null ? "deleted" : colorState(step.state),
            step.jobId,
            step.dependsOn.join(", "),
            elapsed(step.startedAt, step.finishedAt),
            describeEnd(step),
          ]),
          ["TOOK", "DEPENDS ON", "JOB"],
        );
      });
    });
}

function cancelCommand(): Command {
  return withRemoteOptions(new Command("cancel"))
    .description("Cancel a workflow: waiting steps never start, running steps are signaled to stop")
    .argument("<id>", "Id of the workflow", idArgument("workflow"))
    .option("--reason <text>", "Reason recorded in the workflow's history")
    .option("--json", 'Print {"id": …, "state": …}')
    .addHelpText("after", "\nExamples:\n  $ legwork workflow cancel 7 --reason 'wrong input file'")
    .action(async (id: string, flags: Flags & { reason?: string }) => {
      await withOperations(flags, async (operations) => {
        const state = await operations.cancelWorkflow(id, flags.reason);
        if (flags.json === true) printJson({ id, state });
        else
          console.log(
            `Workflow ${id}: ${state === "cancelling" ? "cancelling; its running steps were signaled to stop" : state}.`,
          );
      });
    });
}

function retryCommand(): Command {
  return withRemoteOptions(new Command("retry"))
    .description("Retry a failed, expired or cancelled workflow; completed steps are kept")
    .argument("<id>", "Id of the workflow", idArgument("workflow"))
    .option("--deadline <time>", "Time at which workflow steps that have not ended are cancelled", time)
    .option("--from <step>", "Workflow step to run again together with all steps that depend on it, even if completed")
    .option("--json", 'Print {"id": …, "state": …}')
    .addHelpText("after", "\nExamples:\n  $ legwork workflow retry 7\n  $ legwork workflow retry 7 --from import")
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
  return `${completed}/${total}${bad === 0 ? "" : `, ${bad} not completed`}`;
}

/** A step's state as a symbol. */
function mark({ state }: WorkflowStep): string {
  if (state === "completed") return color("green", "✔");
  if (state === "failed") return color("red", "✘");
  if (state === "cancelled" || state === "expired") return color("gray", "–");
  return state === "running" ? color("blue", "▶") : color("gray", "·");
}

function describeEnd(step: WorkflowStep): string {
  const undone = step.compensationState === null ? "" : `undone by job ${step.compensationJobId}: ${step.compensationState}`;
  const end = step.state === "completed" ? (step.result === null ? "" : jsonText(step.result)) : (step.error ?? "");
  return [end, undone].filter((part) => part !== "").join("; ");
}
