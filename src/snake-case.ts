/** Converts a TypeScript name to its SQL name: `jobKey` is `job_key`, `waitP95` is `wait_p95`. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Converts the names of an object's fields to their SQL names. Their values, such as a payload, stay as they are. */
export function toSnakeCase(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [snakeCase(name), value]));
}
