import { Command } from "commander";
import type { Finding } from "../../health/doctor.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { counted } from "../../wording.ts";
import { color, indented, printJson } from "../output.ts";

const COLORS = { critical: "red", warning: "yellow", ok: "green" } as const;

export function doctorCommand(): Command {
  return withRemoteOptions(new Command("doctor"))
    .description("Check the installation and show how to fix what is wrong")
    .option("--json", "Print an array of all findings, including those that are ok")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork doctor
  $ legwork doctor --json

The exit code is 1 when a finding is critical, otherwise 0. The command reads statistics and samples, does not wait for locks, and
changes nothing. In SQL, without the checks of versions and clocks: select * from legwork.doctor();`,
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
  const margin = "critical".length + 2 + width + 2;
  for (const { check, severity, finding, fix } of findings) {
    console.log(
      `${color(COLORS[severity], severity.padEnd("critical".length))}  ${check.padEnd(width)}  ${indented(finding, margin)}`,
    );
    if (fix !== null) console.log(`${" ".repeat(margin)}${color("bold", "→")} ${indented(fix, margin + 2)}`);
  }
  const count = (severity: Finding["severity"]): number => findings.filter((row) => row.severity === severity).length;
  console.log(`\n${count("critical")} critical, ${counted(count("warning"), "warning")}, ${count("ok")} ok.`);
}
