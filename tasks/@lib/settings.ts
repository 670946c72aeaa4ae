import { isAbsolute } from "node:path";
import { Discard } from "legwork";
import ipaddr from "ipaddr.js";
import { z } from "zod";

const text = z.string();

const list = text.transform((value) =>
  value
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ""),
);

const flag = z.enum(["true", "false"], "expected true or false").transform((value) => value === "true");

/** A server URL that contains a password. Ambiguous URLs are rejected, because a part of the password could be read as the host and be shown. */
function serverAddress(schemes: RegExp, expected: string): z.ZodType<string> {
  return text.refine(
    (value) => schemes.test(URL.parse(value)?.protocol ?? "") && !value.includes("#") && !/^[^/]*\/\/[^/?]*[/?].*@/s.test(value),
    `expected ${expected}, with @ : / ? # % in the user and the password percent-encoded`,
  );
}

/** An IP address, a range in CIDR notation, or a host name. */
const addressEntry = text.refine(
  (entry) => ipaddr.isValid(entry) || ipaddr.isValidCIDR(entry) || /^(?!-)[a-z0-9._-]+$/i.test(entry),
  "expected addresses, ranges such as 10.0.0.0/8 or host names, separated by commas",
);

const signingSecrets = list.pipe(
  z
    .array(text.regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, "expected whsec_ followed by at least 24 bytes in base64"))
    .min(1)
    .max(5),
);

const webhookEndpoints = text.transform((value, context) => {
  try {
    const parsed = z.record(z.string(), z.url({ protocol: /^https?$/ })).safeParse(JSON.parse(value));
    if (parsed.success) return parsed.data;
  } catch {
    // Reported below, without the value, because it contains secrets.
  }
  context.addIssue({ code: "custom", message: 'expected JSON such as {"ops": "https://…"}' });
  return z.NEVER;
});

/**
 * The settings that these tasks read from the worker's environment and never from a payload: secrets, and limits on what payloads may name. They are
 * read when a job runs. An empty variable counts as not set. A test compares this list with docs/reference/configuration.md.
 */
const SETTINGS = {
  LEGWORK_ALLOWED_TABLES: list.pipe(
    z.array(text.regex(/^(\*|[^.]+|[^.]+\.[^.]+)$/, "expected names such as app.events, app.* or *, separated by commas")),
  ),
  LEGWORK_ALLOWED_FOLDERS: list.pipe(z.array(text.refine(isAbsolute, "expected absolute paths of folders, separated by commas"))),
  LEGWORK_ALLOWED_ADDRESSES: list.pipe(z.array(addressEntry)),
  LEGWORK_SMTP_URL: serverAddress(/^smtps?:$/, "smtp://user:password@host:port or smtps://…"),
  LEGWORK_MAIL_FROM: text.regex(/^[^\r\n]*[^\s@]+@[^\s@]+[^\r\n]*$/, "expected an address such as App <app@example.org>"),
  LEGWORK_WEB_PUSH_PUBLIC_KEY: text.regex(/^[\w-]{80,}$/, "expected a VAPID key in URL-safe base64"),
  LEGWORK_WEB_PUSH_PRIVATE_KEY: text.regex(/^[\w-]{40,}$/, "expected a VAPID key in URL-safe base64"),
  LEGWORK_WEB_PUSH_SUBJECT: text.regex(/^(mailto:|https:\/\/)./, "expected mailto:… or https://…"),
  LEGWORK_SMS_URL: serverAddress(/^https?:$/, "an http:// or https:// URL"),
  LEGWORK_SMS_TOKEN: text,
  LEGWORK_SMS_FROM: text.max(20, "expected a sender of at most 20 characters"),
  LEGWORK_WEBHOOK_SECRET: signingSecrets,
  LEGWORK_ENDPOINT_SECRET: signingSecrets,
  LEGWORK_WEBHOOK_ENDPOINTS: webhookEndpoints,
  LEGWORK_REPORTS_FOLDER: text.refine(isAbsolute, "expected the absolute path of a folder of .sql files"),
  LEGWORK_REPORT_SQL_FROM_PAYLOAD: flag,
  LEGWORK_REPORT_ROLE: text.max(63, "expected the name of a role"),
  LEGWORK_GIT_PROTOCOLS: list.pipe(z.array(z.enum(["https", "http", "ssh", "file"], "expected https, http, ssh or file"))),
} as const satisfies Record<string, z.ZodType>;

export type SettingName = keyof typeof SETTINGS;
export type SettingValue<Name extends SettingName> = z.output<(typeof SETTINGS)[Name]>;

/** Returns a setting's value, or undefined if it is not set. Throws a Discard, without the value, if the value is not valid. */
export function setting<Name extends SettingName>(name: Name): SettingValue<Name> | undefined {
  const value = process.env[name];
  if (value === undefined || value === "") return undefined;
  const parsed = SETTINGS[name].safeParse(value);
  if (parsed.success) return parsed.data as SettingValue<Name>;
  throw new Discard(
    `${name} in the worker's environment is not valid: ${parsed.error.issues[0]?.message ?? "unexpected value"}.`,
  );
}

/** Returns a setting that the task requires. Throws a Discard that names it if it is missing; there are no defaults. */
export function requiredSetting<Name extends SettingName>(name: Name, what = "No provider configured"): SettingValue<Name> {
  const value = setting(name);
  if (value === undefined) throw new Discard(`${what}: ${name} is not set in the worker's environment.`);
  return value;
}
