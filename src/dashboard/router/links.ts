/** The path of a named page: `pathTo("/tasks", "notify/email")` is /tasks/notify%2Femail. */
export function pathTo(folder: string, name: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `${folder}/${encodeURIComponent(name)}${search === "" ? "" : `?${search}`}`;
}

/** Decodes a name from a path. The router leaves escapes such as %2F as they are. */
export function nameFrom(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? "");
  } catch {
    // The name contains a percent sign that does not start an escape.
    return part ?? "";
  }
}

/** The path of the job list with a filter. */
export function jobsPath(filter: Readonly<Record<string, string>>): string {
  return `/jobs?${new URLSearchParams(filter).toString()}`;
}
