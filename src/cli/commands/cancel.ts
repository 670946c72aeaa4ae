import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { cancelJob } from "../../jobs/cancel-job.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { forEachJob } from "../output.ts";

export function cancelCommand(): Command {
  return withCommonOptions(new Command("cancel"))
    .description("cancel jobs: one that waits never starts, one that runs is told to stop")
    .argument("<ids...>", "the jobs' ids")
    .option("--reason <text>", "what their history will say")
    .option("--json", 'print [{"id": …, "state": …}]')
    .addHelpText("after", "\nExamples:\n  $ legwork cancel 42\n  $ legwork cancel 42 43 --reason 'wrong recipients'")
    .action(async (ids: string[], flags: CommonFlags & { reason?: string; json?: boolean }) => {
      const { reason, json, ...common } = flags;
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        await forEachJob(ids, json, async (id) => {
          const state = await cancelJob(pool, id, reason);
          return { state, text: state === "running" ? "told to stop" : state };
        });
      });
    });
}
