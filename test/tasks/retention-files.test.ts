import { mkdir, readdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { configure, type EndedJob, oneWorker, runJob } from "../support/job.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
oneWorker(database);

/** A folder with files that are this many days old, each ten bytes long. */
async function folderOf(files: Record<string, number>): Promise<string> {
  const folder = await directoryOf({});
  for (const [path, days] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), "0123456789");
    const time = new Date(Date.now() - days * 86_400_000);
    await utimes(join(folder, path), time, time);
  }
  return folder;
}

async function clean(folder: string, payload: Record<string, unknown> = {}): Promise<EndedJob> {
  return await runJob(database, "retention/files", { folder, olderThan: "10 days", ...payload });
}

describe("retention/files", () => {
  it("deletes only files that have not changed for the given time", async () => {
    const folder = await folderOf({ "a.log": 11, "b.log": 9, "c.txt": 30, "below/d.log": 30 });
    configure({ LEGWORK_ALLOWED_FOLDERS: folder });
    expect((await clean(folder, { matching: "*.log" })).result).toEqual({
      deleted: 1,
      bytes: 10,
      kept: 2,
      failed: 0,
      folders: 0,
    });
    expect((await readdir(folder)).toSorted()).toEqual(["b.log", "below", "c.txt"]);
    expect((await clean(folder, { recursive: true, removeEmptyFolders: true })).result).toEqual({
      deleted: 2,
      bytes: 20,
      kept: 1,
      failed: 0,
      folders: 1,
    });
    expect(await readdir(folder)).toEqual(["b.log"]);
  });

  it("does not follow links out of the folder", async () => {
    const outside = await folderOf({ "precious.txt": 100, "deep/precious.txt": 100 });
    const folder = await folderOf({ "old.txt": 100 });
    await symlink(outside, join(folder, "linked"));
    await symlink(join(outside, "precious.txt"), join(folder, "file"));
    configure({ LEGWORK_ALLOWED_FOLDERS: folder });
    expect((await clean(folder, { recursive: true, removeEmptyFolders: true })).result).toMatchObject({ deleted: 1 });
    expect(await readFile(join(outside, "precious.txt"), "utf8")).toBe("0123456789");
    expect((await clean(join(folder, "linked"))).error).toContain("is a symbolic link");
    expect(await readdir(outside)).toHaveLength(2);
  });

  it.each([
    ["a folder that is not allowed", (folder: string) => dirname(folder), "LEGWORK_ALLOWED_FOLDERS does not allow"],
    [
      "a folder whose name begins with the name of an allowed one",
      (folder: string) => `${folder}-2`,
      "LEGWORK_ALLOWED_FOLDERS does not allow",
    ],
    ["a path with ..", (folder: string) => `${folder}/../x`, "expected an absolute path without .."],
    ["a relative path", () => "logs", "expected an absolute path"],
    ["a missing folder", (folder: string) => `${folder}/none`, "does not exist"],
    ["a file", (folder: string) => `${folder}/a`, "is not a folder"],
  ])("rejects %s", async (_what, path, message) => {
    const folder = await folderOf({ a: 100 });
    configure({ LEGWORK_ALLOWED_FOLDERS: `/nowhere, ${folder}` });
    const job = await clean(path(folder));
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain(message);
    expect(await readdir(folder)).toEqual(["a"]);
  });

  it("deletes nothing if no folder is configured", async () => {
    const folder = await folderOf({ a: 100 });
    configure({ LEGWORK_ALLOWED_FOLDERS: undefined });
    expect(await clean(folder)).toMatchObject({
      state: "failed",
      error: "No folder is allowed: LEGWORK_ALLOWED_FOLDERS is not set in the worker's environment.",
    });
    configure({ LEGWORK_ALLOWED_FOLDERS: "logs" });
    expect((await clean(folder)).error).toBe(
      "LEGWORK_ALLOWED_FOLDERS in the worker's environment is not valid: expected absolute paths of folders, separated by commas.",
    );
  });
});
