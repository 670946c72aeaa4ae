import { Command } from "commander";
import type { Finding } from "../../health/doctor.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printJson } from "../output.ts";

const COLORS = { critical: "red", warning: "yellow", ok: "green" } as const;

export function doctorCommand(): Command {
  return withRemoteOptions(new Command("doctor"))
    .description("say what is wrong with the job system and what to do about it")
    .option("--json", "print an array of findings, those that are fine included")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork doctor
  $ legwork doctor --json

Exits with 1 when something is critical, else with 0. It reads statistics and samples, waits for nobody's lock and changes nothing.
The same without a command line, but for versions and clocks: select * from legwork.doctor();`,
    )
    .action(async (flags: RemoteFlags & { json?: boolean }) => {
      const { json } = flags;
      await withOperations(flags, async (operations) => {
        const findings = await operations.diagnose();
        if (json === true) printJson(findings);
        else print(findings);
        if (findings.some(({ severity }) => severity === "critical")) process.exitCode = 1;
      });
    });
}

function print(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { check, severity, finding, fix } of findings) {
    console.log(`${color(COLORS[severity], severity.padEnd("critical".length))}  ${check.padEnd(width)}  ${finding}`);
    if (fix !== null) console.log(`${" ".repeat("critical".length + 2 + width)}  ${color("bold", "→")} ${fix}`);
  }
  const count = (severity: Finding["severity"]): number => findings.filter((row) => row.severity === severity).length;
  console.log(`\n${count("critical")} critical, ${count("warning")} warning(s), ${count("ok")} fine.`);
}
