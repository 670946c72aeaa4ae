import { constants, type Stats } from "node:fs";
import { access, type FileHandle, lstat, mkdir, open, opendir, realpath, rename, rmdir, unlink } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { PayloadError } from "legwork";
import { z } from "zod";
import { requiredSetting } from "./settings.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants;

/** Where an open directory is reached whatever becomes of its path. Linux has it. */
const DESCRIPTORS = "/proc/self/fd";

/** A folder as a payload has it. */
export const folderPath = z
  .string()
  .min(1)
  .max(4_000)
  .refine((path) => isAbsolute(path) && !path.split(/[/\\]/).includes("..") && !path.includes("\0"), {
    error: "expected an absolute path without ..",
  });

/** The name of a file or folder: one step of a path. */
export const fileName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^(?!\.)[\w. -]+$/, "expected a name of letters, digits, '.', '_', '-' and spaces, without a dot in front");

interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
  readonly isFile: boolean;
}

/**
 * A folder that is held open, and what is in it. Files are named by their name only, and reached through the open folder: who
 * replaces a part of its path by a symbolic link meanwhile leads nobody elsewhere. Where the system offers no such way (it is
 * Linux that does), the path was checked when the folder was opened. Links in it are never followed.
 */
export class Folder implements AsyncDisposable {
  private readonly handle: FileHandle;
  /** Its path, for people. */
  readonly path: string;
  private readonly base: string;

  private constructor(handle: FileHandle, path: string, base: string) {
    this.handle = handle;
    this.path = path;
    this.base = base;
  }

  /**
   * Opens a folder that LEGWORK_ALLOWED_FOLDERS allows: one of those, or one below. With `create`, what is missing of it is made.
   * Throws a Discard when that setting is missing, a PayloadError, naming the field, for any other folder and for one that a
   * symbolic link leads to.
   */
  static async open(field: string, path: string, options: { create?: boolean } = {}): Promise<Folder> {
    const roots = requiredSetting("LEGWORK_ALLOWED_FOLDERS", "No folder is allowed");
    const wanted = resolve(path);
    const root = roots
      .map((allowed) => resolve(allowed))
      .find((allowed) => wanted === allowed || wanted.startsWith(allowed.endsWith(sep) ? allowed : `${allowed}${sep}`));
    if (root === undefined) {
      throw new PayloadError(`${field}: '${path}' is in no folder that LEGWORK_ALLOWED_FOLDERS allows.`, {
        hint: "Add its folder there, where the worker runs: absolute paths with commas between them.",
      });
    }
    // The way to an allowed folder is the operator's own; links on it are meant.
    let folder = await Folder.at(await present(field, root), root);
    for (const step of relative(root, wanted).split(sep)) {
      if (step === "") continue;
      const parent = folder;
      try {
        if (options.create === true) await parent.makeFolder(step).catch(ignore("EEXIST"));
        folder = await parent.folder(step);
      } catch (error) {
        throw refusal(field, path, error);
      } finally {
        await parent.close();
      }
    }
    return folder;
  }

  /** Opens a folder that the configuration itself names. */
  static async openConfigured(name: string, path: string): Promise<Folder> {
    return await Folder.at(await present(name, path), path);
  }

  private static async at(place: string, path: string): Promise<Folder> {
    const handle = await open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const held = `${DESCRIPTORS}/${handle.fd}`;
    const base = (await access(held).then(
      () => true,
      () => false,
    ))
      ? held
      : place;
    return new Folder(handle, path, base);
  }

  /** The path of something in it, through the open folder. */
  private inside(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
      throw new PayloadError(`'${name}' is not the name of a file.`);
    }
    return join(this.base, name);
  }

  async folder(name: string): Promise<Folder> {
    return await Folder.at(this.inside(name), join(this.path, name));
  }

  async makeFolder(name: string): Promise<void> {
    await mkdir(this.inside(name), { mode: 0o700 });
  }

  async entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for await (const entry of this.eachEntry()) entries.push(entry);
    return entries;
  }

  /** The entries one by one: of a folder with a million files, too. What is removed meanwhile may still come. */
  async *eachEntry(): AsyncGenerator<Entry> {
    for await (const entry of await opendir(join(this.base, "."))) {
      yield { name: entry.name, isFolder: entry.isDirectory(), isFile: entry.isFile() };
    }
  }

  /** What is known of a file; of a link, the link itself. Undefined when it is gone. */
  async status(name: string): Promise<Stats | undefined> {
    return await lstat(this.inside(name)).catch(ignore("ENOENT"));
  }

  /** Opens a file for reading; throws for a link. Does not wait for the other end of a pipe. */
  async openFile(name: string): Promise<FileHandle> {
    return await open(this.inside(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  /** Makes a file that was not there. */
  async createFile(name: string): Promise<FileHandle> {
    return await open(this.inside(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(this.inside(from), this.inside(to));
  }

  async removeFile(name: string): Promise<void> {
    await unlink(this.inside(name));
  }

  /** Removes a folder that is empty. */
  async removeFolder(name: string): Promise<void> {
    await rmdir(this.inside(name));
  }

  /** Removes a folder and all that is in it; one that is not there is no mistake. */
  async removeTree(name: string): Promise<void> {
    const folder = await this.folder(name).catch(ignore("ENOENT"));
    if (folder === undefined) return;
    try {
      for (const entry of await folder.entries()) {
        if (entry.isFolder) await folder.removeTree(entry.name);
        else await folder.removeFile(entry.name).catch(ignore("ENOENT"));
      }
    } finally {
      await folder.close();
    }
    await this.removeFolder(name).catch(ignore("ENOENT"));
  }

  /** Makes what was made, renamed and removed in it outlive a loss of power. */
  async sync(): Promise<void> {
    await this.handle.sync();
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** For the end of a pipeline. A stream of the FileHandle's own would close it, or keep it from ever being closed. */
export function writerTo(file: FileHandle): (chunks: AsyncIterable<Buffer>) => Promise<void> {
  return async (chunks) => {
    for await (const chunk of chunks) await file.writeFile(chunk);
  };
}

/** As `writerTo`, for reading from the start. */
export function readerOf(file: FileHandle): Readable {
  return Readable.from(chunksOf(file), { objectMode: false, highWaterMark: 256 * 1024 });
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024), 0, 64 * 1024, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function present(field: string, root: string): Promise<string> {
  try {
    return await realpath(root);
  } catch (error) {
    throw refusal(field, root, error);
  }
}

function refusal(field: string, path: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === "ENOENT") return new PayloadError(`${field}: there is no folder '${path}'.`, { cause: error });
  if (code !== "ELOOP" && code !== "ENOTDIR") return error;
  return new PayloadError(`${field}: '${path}' leads through something that is no folder, or is a symbolic link.`, {
    cause: error,
    hint: "Name the folder that the link leads to; it has to be allowed as well.",
  });
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** For `catch`: passes over errors of these codes, and throws the others again. */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? "")) throw error;
  };
}
