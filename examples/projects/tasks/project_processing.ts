import { basename } from "node:path";
import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { CLONES } from "../lib/clones.ts";
import { withClone, type Clone } from "../../../tasks/@lib/clone.ts";
import { listFiles, READ_LIMIT_BYTES, readText } from "../../../tasks/@lib/clone-files.ts";
import { parsePlanApart } from "../lib/parse-plan.ts";
import { planCandidates, progressOf, type PlanTask } from "../lib/plan.ts";
import { parseRepositoryUrl } from "../../../tasks/@lib/repository-url.ts";
import { assertOwnJob, tenantOf } from "../users.ts";

export default defineTask({
  description: "Clones a project's repository, reads the check boxes of its plan file, and stores tasks and progress.",
  payload: z.strictObject({
    projectId: z.uuid().describe("The project, a row of projects.projects."),
    refresh: z.boolean().default(false).describe("Whether a user requested the processing and is waiting for it."),
  }),
  result: z.strictObject({
    tasks_count: z.int(),
    completed_count: z.int(),
    progress_percentage: z.number().describe("The share of checked boxes, in percent."),
    plan_file: z.string().nullable().describe("The file with the tasks; null if no file has check boxes."),
  }),
  // Jobs of one project never run at the same time, so the later one always sees the newer commit.
  concurrency: { limit: 1, key: (p) => p.projectId },
  async run({ projectId }, { sql, job, log, signal, enqueue, progress }) {
    const [project] = await sql<{ user_id: string; repository_url: string; plan_file: string | null }>`
      select user_id, repository_url, plan_file from projects.projects where id = ${projectId}`;
    if (project === undefined) throw new PayloadError(`projectId: project ${projectId} does not exist.`);
    assertOwnJob(job, project.user_id);
    progress(10, "Cloning the repository");
    const { plan, commit } = await withClone(project.repository_url, { signal, ...CLONES }, async (clone) => {
      progress(60, "Reading the plan");
      return { plan: await findPlan(clone, project.plan_file, signal), commit: clone.commit };
    });
    progress(90, `Storing the tasks: ${plan.tasks.length}`);
    const completedCount = plan.tasks.filter((task) => task.done).length;
    const progressPercentage = progressOf(plan.tasks);
    const name = basename(parseRepositoryUrl(project.repository_url).shown, ".git");

    // One transaction: other sessions never see old tasks with new progress, and the next job is enqueued only if this result is stored.
    await sql.transaction(async (sql, client) => {
      const stored = await sql`
        update projects.projects
        set task_count = ${plan.tasks.length}, completed_count = ${completedCount}, progress_percentage = ${progressPercentage},
          found_plan_file = ${plan.file}, commit = ${commit}, name = coalesce(name, ${name}), processed_at = now()
        where id = ${projectId}
        returning id`;
      if (stored.length === 0) throw new PayloadError(`projectId: project ${projectId} was removed while the job was running.`);
      await sql`delete from projects.tasks where project_id = ${projectId}`;
      await sql`
        insert into projects.tasks (project_id, position, parent, title, done, depth, section, line)
        select ${projectId}, t.position, t.parent, t.title, t.done, t.depth, t.section, t.line
        from jsonb_to_recordset(${JSON.stringify(plan.tasks)}::jsonb)
          as t (position int, parent int, title text, done boolean, depth int, section text[], line int)`;
      // In the tenant of the project's owner, even if an admin's statement enqueued the processing.
      await enqueue("skills_extraction", { projectId }, { tenant: tenantOf(project.user_id), maxAttempts: 4 }, client);
    });
    log.info({ event: "project_processed", projectId, planFile: plan.file, tasks: plan.tasks.length }, "Project processed.");
    progress(100, "Done");
    return {
      tasks_count: plan.tasks.length,
      completed_count: completedCount,
      progress_percentage: progressPercentage,
      plan_file: plan.file,
    };
  },
});

interface Plan {
  file: string | null;
  tasks: PlanTask[];
}

/** Returns the first candidate file that has checkboxes, with its tasks; null and no tasks if no file qualifies. Throws if a file cannot be parsed. */
async function findPlan({ directory }: Clone, named: string | null, signal: AbortSignal): Promise<Plan> {
  for (const file of planCandidates(await listFiles(directory, signal), named)) {
    const text = await readText(directory, file);
    if (text === undefined && file !== named) continue;
    if (text === undefined) throw new Error(`The plan file ${file} is larger than ${READ_LIMIT_BYTES / 1024} KiB.`);
    try {
      const tasks = await parsePlanApart(text, signal);
      if (tasks.length > 0) return { file, tasks };
    } catch (error) {
      signal.throwIfAborted();
      throw new Error(`The plan file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`, {
        cause: error,
      });
    }
  }
  return { file: null, tasks: [] };
}
