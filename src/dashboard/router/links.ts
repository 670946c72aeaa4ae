/** The address of what has that name: `pathTo("/tasks", "notify/email")` is /tasks/notify%2Femail. */
export function pathTo(folder: string, name: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `${folder}/${encodeURIComponent(name)}${search === "" ? "" : `?${search}`}`;
}

/** A name that was a part of an address. The router leaves signs such as %2F as they are. */
export function nameFrom(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? "");
  } catch {
    // A name with a percent sign of its own.
    return part ?? "";
  }
}

/** The address of the jobs that match. */
export function jobsPath(filter: Readonly<Record<string, string>>): string {
  return `/jobs?${new URLSearchParams(filter).toString()}`;
}
