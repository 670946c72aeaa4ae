import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { CLONES } from "../lib/clones.ts";
import { withClone } from "../../../tasks/@lib/clone.ts";
import { listFiles } from "../../../tasks/@lib/clone-files.ts";
import { extractSkills } from "../lib/skills.ts";
import { assertOwnJob } from "../users.ts";

export default defineTask({
  description: "Clones a project's repository and stores its languages, libraries and tools, with evidence.",
  payload: z.strictObject({ projectId: z.uuid().describe("The project, a row of projects.projects.") }),
  result: z.strictObject({ skills_count: z.int() }),
  concurrency: { limit: 1, key: (p) => p.projectId },
  async run({ projectId }, { sql, job, log, signal, progress }) {
    const [project] = await sql<{ user_id: string; repository_url: string }>`
      select user_id, repository_url from projects.projects where id = ${projectId}`;
    if (project === undefined) throw new PayloadError(`projectId: project ${projectId} does not exist.`);
    assertOwnJob(job, project.user_id);
    progress(10, "Cloning the repository");
    const skills = await withClone(project.repository_url, { signal, ...CLONES }, async ({ directory }) => {
      progress(60, "Searching the files");
      return await extractSkills(directory, await listFiles(directory, signal), signal, (file, reason) =>
        log.warn({ event: "manifest_skipped", projectId, file, reason }, `${file} was skipped: ${reason}`),
      );
    });
    progress(90, `Storing the skills: ${skills.length}`);
    await sql.transaction(async (sql) => {
      const stored = await sql`update projects.projects set skills_processed_at = now() where id = ${projectId} returning id`;
      if (stored.length === 0) throw new PayloadError(`projectId: project ${projectId} was removed while the job was running.`);
      await sql`delete from projects.skills where project_id = ${projectId}`;
      await sql`
        insert into projects.skills (project_id, kind, name, count, evidence)
        select ${projectId}, s.kind, s.name, s.count, s.evidence
        from jsonb_to_recordset(${JSON.stringify(skills)}::jsonb) as s (kind text, name text, count int, evidence jsonb)`;
    });
    log.info({ event: "skills_extracted", projectId, skills: skills.length }, "Skills extracted.");
    progress(100, "Done");
    return { skills_count: skills.length };
  },
});
