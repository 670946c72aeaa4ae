import { constants, type Stats } from "node:fs";
import { access, type FileHandle, lstat, mkdir, open, opendir, realpath, rename, rmdir, unlink } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { PayloadError } from "legwork";
import { z } from "zod";
import { requiredSetting } from "./settings.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants;

/** The path through which Linux gives access to open directories, even if their own paths change. */
const DESCRIPTORS = "/proc/self/fd";

/** A folder's path in a payload. */
export const folderPath = z
  .string()
  .min(1)
  .max(4_000)
  .refine((path) => isAbsolute(path) && !path.split(/[/\\]/).includes("..") && !path.includes("\0"), {
    error: "expected an absolute path without ..",
  });

/** The name of a file or folder: one segment of a path. */
export const fileName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^(?!\.)[\w. -]+$/, "expected a name of letters, digits, '.', '_', '-' and spaces that does not begin with a dot");

interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
  readonly isFile: boolean;
}

/**
 * An open folder and its contents. Files are accessed by name through the open folder. If a part of the folder's path is replaced with a symbolic
 * link meanwhile, accesses are therefore not redirected. Only Linux supports this; elsewhere, the path is checked once, when the folder is opened.
 * Links in the folder are never followed.
 */
export class Folder implements AsyncDisposable {
  private readonly handle: FileHandle;
  /** The folder's path, for messages. */
  readonly path: string;
  private readonly base: string;

  private constructor(handle: FileHandle, path: string, base: string) {
    this.handle = handle;
    this.path = path;
    this.base = base;
  }

  /**
   * Opens a folder that LEGWORK_ALLOWED_FOLDERS allows: one of the listed folders, or a subfolder. With `create`, creates missing folders. Throws a
   * Discard if that setting is missing, and a PayloadError that names the field for any other folder or if the path contains a symbolic link.
   */
  static async open(field: string, path: string, options: { create?: boolean } = {}): Promise<Folder> {
    const roots = requiredSetting("LEGWORK_ALLOWED_FOLDERS", "No folder is allowed");
    const wanted = resolve(path);
    const root = roots
      .map((allowed) => resolve(allowed))
      .find((allowed) => wanted === allowed || wanted.startsWith(allowed.endsWith(sep) ? allowed : `${allowed}${sep}`));
    if (root === undefined) {
      throw new PayloadError(`${field}: LEGWORK_ALLOWED_FOLDERS does not allow '${path}'.`, {
        hint: "Add the folder to LEGWORK_ALLOWED_FOLDERS in the worker's environment: absolute paths, separated by commas.",
      });
    }
    // The operator has set the path of an allowed folder, so links in it are intended.
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

  /** Opens a folder that is set in the configuration. */
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

  /** Returns the path of an entry, through the open folder. */
  private inside(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
      throw new PayloadError(`'${name}' is not a valid file name.`);
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

  /** Yields the entries one by one, so that a folder can have millions of files. Entries that are removed meanwhile may still be included. */
  async *eachEntry(): AsyncGenerator<Entry> {
    for await (const entry of await opendir(join(this.base, "."))) {
      yield { name: entry.name, isFolder: entry.isDirectory(), isFile: entry.isFile() };
    }
  }

  /** Returns the status of a file (for a link, of the link itself), or undefined if it does not exist. */
  async status(name: string): Promise<Stats | undefined> {
    return await lstat(this.inside(name)).catch(ignore("ENOENT"));
  }

  /** Opens a file for reading. Throws for a symbolic link. Does not wait for the other end of a named pipe. */
  async openFile(name: string): Promise<FileHandle> {
    return await open(this.inside(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  /** Creates a file. Throws if it exists. */
  async createFile(name: string): Promise<FileHandle> {
    return await open(this.inside(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(this.inside(from), this.inside(to));
  }

  async removeFile(name: string): Promise<void> {
    await unlink(this.inside(name));
  }

  /** Removes an empty folder. */
  async removeFolder(name: string): Promise<void> {
    await rmdir(this.inside(name));
  }

  /** Removes a folder and everything in it. Does nothing if it does not exist. */
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

  /** Makes created, renamed and removed entries survive a power failure. */
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

/** Returns the last step of a pipeline. FileHandle's own write stream would close the file, or prevent it from being closed. */
export function writerTo(file: FileHandle): (chunks: AsyncIterable<Buffer>) => Promise<void> {
  return async (chunks) => {
    for await (const chunk of chunks) await file.writeFile(chunk);
  };
}

/** Like `writerTo`, for reading from the start. */
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
  if (code === "ENOENT") return new PayloadError(`${field}: folder '${path}' does not exist.`, { cause: error });
  if (code !== "ELOOP" && code !== "ENOTDIR") return error;
  return new PayloadError(`${field}: a part of '${path}' is not a folder, or is a symbolic link.`, {
    cause: error,
    hint: "Give the path of the folder that the link points to. It must be allowed, too.",
  });
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** For `catch`: ignores errors with these codes and rethrows all others. */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? "")) throw error;
  };
}
