import { counted, formatNumber } from "../../../wording.ts";

export const words = {
  title: "Database",
  checking: "Checking…",
  checkedAt: "Checked {at}. On the command line: {command}.",
  checkAgain: "Check again",
  fixes: "Needs attention",
  passed: (checks: number) => `Passed checks (${formatNumber(checks)})`,
  allPassed: (checks: number) => `All ${counted(checks, "check")} passed.`,
  found: (checks: number, critical: number, warnings: number) =>
    `${counted(checks, "check")}: ${[
      ...(critical > 0 ? [`${critical} critical`] : []),
      ...(warnings > 0 ? [counted(warnings, "warning")] : []),
    ].join(", ")}.`,
  copyFix: (check: string) => `Copy fix for ${check}`,
  details: "Details",
  detailsOf: (check: string) => `details of ${check}`,
} as const;
