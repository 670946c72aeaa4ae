/**
 * Does the work; what it throws says none of the secrets. Libraries and servers repeat what they were given: an error of SMTP
 * has the user's name, one of HTTP the whole address. The cause, with all that hangs on it, is left behind.
 */
export async function hidingSecrets<T>(secrets: readonly (string | undefined)[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const hidden = withoutSecrets(error.message, secrets);
    if (hidden === error.message && error.cause === undefined) throw error;
    // The prototype carries what the error means for retries.
    const clean = Object.create(Object.getPrototypeOf(error) as object) as Error;
    for (const key of Reflect.ownKeys(error)) {
      if (["message", "stack", "cause", "response", "command"].includes(String(key))) continue;
      Object.defineProperty(clean, key, Object.getOwnPropertyDescriptor(error, key) as PropertyDescriptor);
    }
    Object.defineProperty(clean, "message", { value: hidden, configurable: true, writable: true });
    Object.defineProperty(clean, "stack", { value: withoutSecrets(error.stack ?? hidden, secrets), configurable: true });
    throw clean;
  }
}

function withoutSecrets(message: string, secrets: readonly (string | undefined)[]): string {
  let hidden = message;
  for (const secret of secrets.flatMap(spellings).toSorted((left, right) => right.length - left.length)) {
    hidden = hidden.replaceAll(secret, "[redacted]");
  }
  return hidden;
}

/** A secret as it is, and as URLs and Basic authentication spell it. Ones of three characters or less would black out words. */
function spellings(secret: string | undefined): string[] {
  if (secret === undefined || secret.length < 4) return [];
  const all = [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")];
  try {
    all.push(decodeURIComponent(secret));
  } catch {
    // It was not encoded.
  }
  return [...new Set(all)];
}

/** User name, password and query of an address: what of it is secret. */
export function secretsOf(address: string): string[] {
  const { username, password, search, href } = new URL(address);
  return [password, username, search, href, address].filter((part) => part !== "");
}
