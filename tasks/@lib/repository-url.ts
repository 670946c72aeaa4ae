import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { PayloadError } from "legwork";

export type Protocol = "https" | "http" | "ssh" | "file";

export interface Repository {
  /** The URL that is passed to git, always without credentials. */
  readonly url: string;
  /** The only protocol that git may use. */
  readonly protocol: Protocol;
  /** The URL for messages, without credentials and query. */
  readonly shown: string;
  /** The directory of a local repository. */
  readonly path: string | undefined;
  /** User name and password, percent-encoded as in a URL; only for https and http. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
}

/** git's short form of ssh URLs: user@host:path. With `://` it would be a full URL; with a leading dash, an option of ssh. */
const SCP_LIKE = /^(?!-)[\w.-]+@(?!-)[\w.-]+:(?!\/\/)[^\s\p{Cc}]+$/u;

/**
 * Parses the URL of a repository from untrusted data. Throws a PayloadError for anything but https, http, ssh, user@host:path,
 * file or an absolute path, because git has transports that run commands (ext::) and would read a URL that starts with a dash
 * as an option. Also throws for a URL in which the end of the password is ambiguous, and for query parameters, which git shows in the process
 * list.
 */
export function parseRepositoryUrl(address: string): Repository {
  if (isAbsolute(address)) return local(address);
  if (SCP_LIKE.test(address)) return { url: address, protocol: "ssh", shown: address, path: undefined, credentials: undefined };
  const url = URL.parse(address) ?? undefined;
  if (url !== undefined && url.protocol !== "file:" && (/[?#]/.test(address) || isCutShort(address))) throw refused(address);
  // The URL parser trims and corrects its input, so git receives the parser's result.
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

/** Whether an @ follows the part that the URL parser reads as the host: this may be a password that contains a slash. */
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
  // Converted to a URL, because for a plain path, git copies files and ignores --depth.
  const { href } = pathToFileURL(path);
  return { url: href, protocol: "file", shown: path, path, credentials: undefined };
}

function withoutPassword(url: URL): string {
  const clean = new URL(url);
  clean.password = "";
  return clean.href;
}

/** Returns a URL for messages. ssh keeps its user name, which is part of the URL and not a secret. */
export function shownOf(url: URL): string {
  const user = url.protocol === "ssh:" && url.username !== "" ? `${url.username}@` : "";
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}

function refused(address: string): PayloadError {
  // A URL that cannot be parsed may still contain a password or a token.
  const shown = /[@?#]/.test(address) ? "This" : `'${address}'`;
  return new PayloadError(`${shown} is not a valid repository URL.`, {
    hint: "Give https://, http://, ssh://, user@host:path, file:// or an absolute path, without parameters, and with @ : / ? # % in a password percent-encoded.",
  });
}

/** Percent-decodes a text. Returns it unchanged if the encoding is invalid. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
