import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { loadConfig } from "../../config.ts";
import { toError } from "../../errors.ts";
import { isId } from "../../id.ts";
import { VERSION } from "../../version.ts";
import { counted } from "../../wording.ts";
import { collect } from "../option-values.ts";
import { ownFlags, type RemoteFlags, serverUrl, withOperations, withRemoteOptions } from "../options.ts";
import { printDone } from "../output.ts";
import { jobSections, logSection, type Section, systemSections } from "../report-sections.ts";
import { visible } from "../visible.ts";
import { writeOutput } from "../write-output.ts";
import { withoutSecrets, withoutValues } from "../without-secrets.ts";

type Flags = RemoteFlags & { out?: string; log?: string[]; includePayloads?: boolean; json?: boolean };

/** The sections that are not available through a server. */
const ONLY_LOCAL = ["Settings of this command", "Settings of the database"];

export function reportCommand(): Command {
  return withRemoteOptions(new Command("report"))
    .description("Write a file for support with findings, versions and settings and, for a job, its explanation and history")
    .argument("[id]", "Job to include", jobId)
    .option("--out <file>", "File to write; - prints it (default: legwork-report-TIME.md)")
    .option("--log <file>", "Log file, such as a worker's, whose last lines are included (repeatable)", collect)
    .option("--include-payloads", "Include the values of payloads, results and log fields, not only their structure")
    .option("--json", 'Print {"out", "bytes", "missing"}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork report
  $ legwork report 42 --out report.md
  $ legwork report 42 --log /var/log/legwork.log --include-payloads

Passwords, tokens and keys are replaced by [redacted] wherever they occur. Read the file before you send it.`,
    )
    .action(async (id: string | undefined, flags: Flags) => {
      const { out = `legwork-report-${fileTime(new Date())}.md`, log = [], includePayloads, json } = ownFlags(flags);
      const isRemote = serverUrl(flags) !== undefined;
      const { config } = isRemote
        ? { config: undefined }
        : await loadConfig({ databaseUrl: flags.databaseUrl, dataDir: flags.dataDir });
      const logs = [...log];
      const postgres = config === undefined ? undefined : join(config.dataDir, "postgres.log");
      if (postgres !== undefined && config?.databaseUrl === undefined && existsSync(postgres)) logs.push(postgres);
      await withOperations({ ...flags, json: true }, async (operations) => {
        const sections = [
          ...(id === undefined ? [] : jobSections(operations, id)),
          ...systemSections(operations, config),
          ...logs.map(logSection),
        ].filter(({ title }) => !isRemote || !ONLY_LOCAL.includes(title));
        const missing: string[] = isRemote ? [...ONLY_LOCAL] : [];
        const text = await write(sections, includePayloads === true, missing);
        if (out === "-") {
          process.stdout.write(text);
          return;
        }
        writeOutput(out, text, { mode: 0o600 });
        const lacks = missing.length === 0 ? "" : `\nMissing: ${missing.join("; ")}.`;
        const values = includePayloads === true ? "with the values of payloads" : "without the values of payloads";
        const sentence = `Wrote ${out} (${counted(Buffer.byteLength(text), "byte")}), without passwords and tokens, ${values}. Read it before you send it.${lacks}`;
        printDone(json, { out, bytes: Buffer.byteLength(text), missing }, sentence);
      });
    });
}

/** Reads every section in turn. A section that cannot be read contains the error instead, and is added to `missing`. */
async function write(sections: readonly Section[], withPayloads: boolean, missing: string[]): Promise<string> {
  const parts: string[] = [];
  for (const { title, read } of sections) {
    let content: string;
    try {
      const value = await read();
      content = withoutSecrets(withPayloads ? value : withoutValues(value));
    } catch (error) {
      missing.push(title);
      content = `This section could not be read: ${withoutSecrets(toError(error).message)}`;
    }
    // The fence must be longer than any fence in the content.
    const fence = "`".repeat(Math.max(3, ...[...content.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    parts.push(`## ${title}\n\n${fence}\n${content.trimEnd()}\n${fence}\n`);
  }
  const lacks = missing.length === 0 ? "" : `\nMissing: ${missing.join("; ")}.\n`;
  return visible(
    `# Legwork report\n\nWritten at ${new Date().toISOString()} by legwork ${VERSION}.\n${lacks}\n${parts.join("\n")}`,
  );
}

function jobId(text: string): string {
  if (isId(text)) return text;
  throw new InvalidArgumentError("Expected the id of a job: a whole number below 2^63.");
}

/** `20261130-141200`, in UTC. */
function fileTime(time: Date): string {
  return time.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}
