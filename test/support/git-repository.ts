import { execFileSync } from "node:child_process";
import { directoryOf } from "./worker.ts";

/** A git repository with one commit of the given files, which is removed when the test has finished. */
export async function gitRepository(files: Record<string, string>): Promise<string> {
  const directory = await directoryOf(files);
  const git = (...parameters: string[]): void => {
    execFileSync("git", ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-C", directory, ...parameters], {
      env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
    });
  };
  git("init", "--quiet", "--initial-branch=main");
  git("add", "--all");
  git("commit", "--quiet", "--message=First");
  return directory;
}
