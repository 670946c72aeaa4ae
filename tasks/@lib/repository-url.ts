import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { PayloadError } from "legwork";

export type Protocol = "https" | "http" | "ssh" | "file";

export interface Repository {
  /** What git is given; never with credentials. */
  readonly url: string;
  /** The one protocol that git may use. */
  readonly protocol: Protocol;
  /** The address for people: without credentials and query. */
  readonly shown: string;
  /** The directory of a local repository. */
  readonly path: string | undefined;
  /** User name and password as a URL has them, percent-encoded; for https and http only. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
}

/** git's short form of ssh: user@host:path. A colon and two slashes would be a URL, a leading dash an option of ssh. */
const SCP_LIKE = /^(?!-)[\w.-]+@(?!-)[\w.-]+:(?!\/\/)[^\s\p{Cc}]+$/u;

/**
 * Reads the address of a repository, which is data from outside. Throws a PayloadError for whatever is not https, http,
 * ssh, user@host:path, file or an absolute path: git has transports that run commands (ext::) and would take an address
 * that starts with a dash for an option. So it does for an address of which it is not certain where its password ends, and for parameters, which git shows in the list of processes.
 */
export function parseRepositoryUrl(address: string): Repository {
  if (isAbsolute(address)) return local(address);
  if (SCP_LIKE.test(address)) return { url: address, protocol: "ssh", shown: address, path: undefined, credentials: undefined };
  const url = URL.parse(address) ?? undefined;
  if (url !== undefined && url.protocol !== "file:" && (/[?#]/.test(address) || isCutShort(address))) throw refused(address);
  // The URL parser trims and forgives; git is given what the parser made of it.
  switch (/^[a-z]+:\/\//i.test(address) ? url?.protocol : undefined) {
    case "https:":
    case "http:":
      return remote(url as URL, url?.protocol === "https:" ? "https" : "http");
    case "ssh:":
      if (!url?.hostname || url.hostname.startsWith("-") || decoded(url.username).startsWith("-")) throw refused(address);
      return { url: withoutPassword(url), protocol: "ssh", shown: shownOf(url), path: undefined, credentials: undefined };
    case "file:":
      if (url?.hostname !== "") throw refused(address);
      return local(fileURLToPath(url));
    default:
      throw refused(address);
  }
}

/** Whether an @ comes after what the URL parser takes for the host: then a password with a / may have ended there. */
function isCutShort(address: string): boolean {
  return /^[a-z]+:\/\/[^/@]*\/.*@/is.test(address);
}

function remote(url: URL, protocol: "https" | "http"): Repository {
  const { username, password } = url;
  const clean = new URL(url);
  clean.username = "";
  clean.password = "";
  clean.hash = "";
  const credentials = username === "" && password === "" ? undefined : { username, password };
  return { url: clean.href, protocol, shown: shownOf(url), path: undefined, credentials };
}

function local(path: string): Repository {
  // As a URL, because git copies a plain path file by file and ignores the depth.
  const { href } = pathToFileURL(path);
  return { url: href, protocol: "file", shown: path, path, credentials: undefined };
}

function withoutPassword(url: URL): string {
  const clean = new URL(url);
  clean.password = "";
  return clean.href;
}

/** An address for people: ssh keeps its user name, which is part of the address and no secret. */
export function shownOf(url: URL): string {
  const user = url.protocol === "ssh:" && url.username !== "" ? `${url.username}@` : "";
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}

function refused(address: string): PayloadError {
  // What cannot be parsed may still hold a password, or end with a token.
  const shown = /[@?#]/.test(address) ? "This" : `'${address}'`;
  return new PayloadError(`${shown} is not an address that a repository is cloned from.`, {
    hint: "Give https://, http://, ssh://, user@host:path, file:// or an absolute path, without parameters, and with @ : / ? # % in a password percent-encoded.",
  });
}

/** Percent-decoded; as it is when that is no encoding. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
