import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadEnvFile } from "node:process";

/** The files with environment variables that `legwork dev` reads. Variables in the first file take precedence. */
export const ENV_FILES = [".env.local", ".env"] as const;

/** Sets the variables in these files that are not already set in the environment. Returns the names of the files. */
export function loadEnvFiles(directory: string): string[] {
  const found = ENV_FILES.filter((file) => existsSync(join(directory, file)));
  for (const file of found) loadEnvFile(join(directory, file));
  return found;
}
