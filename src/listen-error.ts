import { LegworkError, toError } from "./errors.ts";

/** Where a server listens, and the settings that determine it. */
export interface ListenTarget {
  readonly host: string;
  readonly port: number;
  /** The environment variables of the address and the port. */
  readonly settings: { readonly host: string; readonly port: string };
}

/**
 * Explains why a server cannot listen: LW513 for a port in use, LW514 for a port that this user may not use and for an invalid address. Returns other
 * errors unchanged.
 */
export function listenError(thrown: unknown, { host, port, settings }: ListenTarget): Error {
  const error = toError(thrown) as NodeJS.ErrnoException;
  switch (error.code) {
    case "EADDRINUSE":
      return new LegworkError("LW513", `Port ${port} on ${host} is already in use.`, {
        hint: `Stop the process that listens there (\`lsof -i :${port}\` shows it), or set ${settings.port}; 0 takes a free port.`,
        cause: error,
      });
    case "EACCES":
      return new LegworkError("LW514", `This user may not listen on port ${port}.`, {
        hint: `Set ${settings.port} to 1024 or higher.`,
        cause: error,
      });
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new LegworkError("LW514", `'${host}' is not an address of this machine.`, {
        hint: `Set ${settings.host} to 127.0.0.1 or another address of this machine.`,
        cause: error,
      });
    default:
      return error;
  }
}
