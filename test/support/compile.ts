import { execFile } from "node:child_process";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { directoryOf } from "./worker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A user's project, in which imports of "legwork" resolve to this checkout. */
export async function projectOf(files: Readonly<Record<string, string>>): Promise<string> {
  const entry = (file: string): string[] => [join(root, `src/${file}.ts`)];
  const compilerOptions = {
    target: "es2024",
    lib: ["es2024", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    rewriteRelativeImportExtensions: true,
    types: ["node"],
    paths: { legwork: entry("index"), "legwork/operations": entry("operations"), "legwork/testing": entry("testing") },
  };
  const directory = await directoryOf({
    "package.json": '{"type": "module"}',
    "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts"] }),
    ...files,
  });
  await symlink(join(root, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** The compiler's errors in a project, one per line. */
export async function compile(directory: string): Promise<string[]> {
  const command = [join(root, "node_modules/typescript/bin/tsc"), "-p", directory];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: directory }).catch(
    (error: { stdout: string }) => error,
  );
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}
