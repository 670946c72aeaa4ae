import { mkdir, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Folder } from "../../tasks/@lib/folder.ts";
import { configure } from "../support/job.ts";
import { directoryOf } from "../support/worker.ts";

it("an open folder that is replaced by a link does not lead anywhere else", async () => {
  const outside = await directoryOf({ "a.txt": "precious" });
  const root = await directoryOf({ "logs/a.txt": "old" });
  configure({ LEGWORK_ALLOWED_FOLDERS: root });
  await using folder = await Folder.open("folder", join(root, "logs"));
  await rename(join(root, "logs"), join(root, "moved"));
  await symlink(outside, join(root, "logs"));
  await folder.removeFile("a.txt");
  await using file = await folder.createFile("b.txt");
  await file.writeFile("new");
  expect(await readdir(outside)).toEqual(["a.txt"]);
  expect(await readdir(join(root, "moved"))).toEqual(["b.txt"]);
  await expect(Folder.open("folder", join(root, "logs"))).rejects.toThrow("symbolic link");
});

it("removing a folder's tree does not follow links", async () => {
  const outside = await directoryOf({ "a.txt": "precious" });
  const root = await directoryOf({});
  configure({ LEGWORK_ALLOWED_FOLDERS: root });
  await mkdir(join(root, "tree/below"), { recursive: true });
  await writeFile(join(root, "tree/below/x"), "");
  await symlink(outside, join(root, "tree/link"));
  await symlink(outside, join(root, "link"));
  await using folder = await Folder.open("folder", root);
  await folder.removeTree("tree");
  await expect(folder.removeTree("link")).rejects.toThrow("ENOTDIR");
  expect(await readdir(root)).toEqual(["link"]);
  expect(await readdir(outside)).toEqual(["a.txt"]);
});

it.each(["..", ".", "", "a/b", "a\0b"])("'%s' is not accepted as a file name", async (name) => {
  const root = await directoryOf({});
  configure({ LEGWORK_ALLOWED_FOLDERS: root });
  await using folder = await Folder.open("folder", root);
  await expect(folder.createFile(name)).rejects.toThrow("is not a valid file name");
});
