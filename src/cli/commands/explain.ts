import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { explainJob } from "../../jobs/explain-job.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { color, printJson } from "../output.ts";

export function explainCommand(): Command {
  return withCommonOptions(new Command("explain"))
    .description("say why a job is not running, and what to do about it")
    .argument("<id>", "the job's id")
    .option("--json", "print an array of reasons")
    .addHelpText("after", "\nExamples:\n  $ legwork explain 42")
    .action(async (id: string, flags: CommonFlags & { json?: boolean }) => {
      const { json, ...common } = flags;
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const reasons = await explainJob(pool, id);
        if (json === true) return printJson(reasons);
        for (const { position, detail, fix } of reasons) {
          const number = reasons.length > 1 ? `${position}. ` : "";
          console.log(`${color("bold", `${number}${detail}`)}\n${" ".repeat(number.length)}${fix}`);
        }
      });
    });
}
