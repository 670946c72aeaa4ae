/**
 * Does the work and removes the secrets from any error that the work throws. Libraries and servers repeat their input: an SMTP error contains the
 * user name, an HTTP error the whole URL. The error's cause is dropped, with everything attached to it.
 */
export async function hidingSecrets<T>(secrets: readonly (string | undefined)[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const hidden = withoutSecrets(error.message, secrets);
    if (hidden === error.message && error.cause === undefined) throw error;
    // The prototype decides how the error is retried.
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

/** Returns a secret as it is, and as encoded in URLs and Basic authentication. Secrets of three characters or fewer are ignored, because redacting them would remove parts of words. */
function spellings(secret: string | undefined): string[] {
  if (secret === undefined || secret.length < 4) return [];
  const all = [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")];
  try {
    all.push(decodeURIComponent(secret));
  } catch {
    // The secret was not encoded.
  }
  return [...new Set(all)];
}

/** Returns the secret parts of a URL: user name, password and query, each by itself, and the whole URL. */
export function secretsOf(address: string): string[] {
  const { username, password, search, href } = new URL(address);
  return [password, username, search, href, address].filter((part) => part !== "");
}
