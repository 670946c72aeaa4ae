import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadEnvFile } from "node:process";

/** The files with environment variables that `legwork dev` reads. A variable of the first one takes precedence. */
export const ENV_FILES = [".env.local", ".env"] as const;

/** Sets the environment variables of these files that are not set already. Returns the names of the files. */
export function loadEnvFiles(directory: string): string[] {
  const found = ENV_FILES.filter((file) => existsSync(join(directory, file)));
  for (const file of found) loadEnvFile(join(directory, file));
  return found;
}
