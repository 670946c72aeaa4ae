import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const PROJECT = resolve(import.meta.dirname, "../..");

/** A finding of the linter. */
export interface Diagnostic {
  code: string;
  message: string;
  filename: string;
  labels: { span: { line: number } }[];
}

/** Runs the linter with this project's configuration in a project that consists of these files, each given as its lines. */
export async function lint(files: Record<string, readonly string[]>): Promise<Diagnostic[]> {
  const folder = await mkdtemp(join(tmpdir(), "legwork-lint-"));
  try {
    await mkdir(join(folder, "scripts"));
    for (const file of [".oxlintrc.json", "scripts/lint-layers.ts", "scripts/lint-dashboard-words.ts"]) {
      await copyFile(join(PROJECT, file), join(folder, file));
    }
    for (const [file, lines] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), lines.map((line) => `${line}\n`).join(""));
    }
    const oxlint = join(PROJECT, "node_modules/oxlint/bin/oxlint");
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [oxlint, "--format=json"], { cwd: folder, timeout: 20_000 }, (_error, stdout) =>
        resolve(stdout),
      );
    });
    return (JSON.parse(output) as { diagnostics: Diagnostic[] }).diagnostics;
  } finally {
    await rm(folder, { recursive: true });
  }
}
