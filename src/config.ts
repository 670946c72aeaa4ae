import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { durationExpected, parseDuration } from "./duration.ts";
import { LegworkError, toError } from "./errors.ts";
import { LOG_LEVELS } from "./log.ts";

/** A length of time, read as milliseconds. */
const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined) return milliseconds;
  context.addIssue({ code: "custom", message: durationExpected(value) });
  return z.NEVER;
});

/** How many proxies stand before the server, 16 at most, or their addresses; from the environment, a count is text in a list. */
const trustedProxies = z.union([z.number(), z.array(z.string())]).transform((value, context) => {
  const count =
    typeof value === "number" ? value : value.length === 1 && /^\d+$/.test(value[0] ?? "") ? Number(value[0]) : undefined;
  if (count !== undefined && Number.isInteger(count) && count >= 0 && count <= 16) return count;
  if (Array.isArray(value) && value.every((entry) => isIP(entry) !== 0 || ipaddr.isValidCIDR(entry))) return value;
  context.addIssue({
    code: "custom",
    message: "expected how many proxies stand before the server, such as 1, or their addresses, such as 10.0.0.0/8",
  });
  return z.NEVER;
});

const configSchema = z
  .strictObject({
    /** The database to use. Without one, `up` starts a Postgres of its own in the data directory. */
    databaseUrl: z
      .string()
      .regex(/^postgres(ql)?:\/\/./, { error: "expected postgres://user:password@host:port/database" })
      .optional(),
    /** Where the embedded Postgres, its password, the API token and ready.json are kept. */
    dataDir: z.string().min(1).default(".legwork"),
    /** The address the server listens on. */
    host: z.string().min(1).default("127.0.0.1"),
    /** The port the server listens on; 0 takes a free one. */
    port: z.coerce.number().int().min(0).max(65_535).default(4400),
    /** Directories of task files, or single files that export several tasks. */
    tasks: z.array(z.string().min(1)).min(1).default(["tasks"]),
    /** graphile-worker's crontab; a file that does not exist means no schedules. */
    crontab: z.string().min(1).default("crontab"),
    /** Jobs that one worker runs at a time. */
    concurrency: z.coerce.number().int().min(1).max(10_000).default(10),
    /**
     * Jobs fetched ahead in one statement; 0 fetches one at a time. As many as the concurrency by default: more is faster for
     * tiny jobs, but jobs that are fetched wait for this worker even when another one is idle.
     */
    localQueueSize: z.coerce.number().int().min(0).max(10_000).optional(),
    /** How long a stopping worker lets running jobs finish before it gives them back. */
    shutdownTimeout: duration.default(25_000),
    /** What an isolated task may use: JavaScript heap in a thread, all memory of a process (MB). */
    isolateMemory: z.coerce.number().int().min(64).max(1_048_576).default(512),
    /** Jobs after which a thread or process for isolated tasks is replaced by a new one. */
    isolateJobs: z.coerce.number().int().min(1).max(1_000_000_000).default(5_000),
    /**
     * How long a task may hold up the worker's event loop with synchronous code before the process is killed; 0 for any time. 5 minutes for `legwork worker` and
     * `legwork up`; under `createLegwork`, which runs in a process of yours, any time unless it is set. Only the job that held it up loses an attempt.
     */
    maxBlocked: duration.optional(),
    /** What a Prometheus may send for `/metrics`, and for nothing else, in place of an API token. */
    metricsToken: z.string().min(16, { error: "expected 16 characters or more" }).optional(),
    logLevel: z.enum(LOG_LEVELS).default("info"),
    /** Names that the server answers to, beside its address and those of this machine: what stands in the URL of its users. */
    hosts: z.array(z.string().min(1).toLowerCase()).default([]),
    /** Origins whose pages may read answers, such as https://app.example.com. None by default. */
    corsOrigins: z
      .array(z.string().regex(/^https?:\/\/[^/*]+$/, { error: "expected an origin such as https://app.example.com" }))
      .default([]),
    /** Requests a minute that each token may make; 0 for any number. */
    rateLimit: z.coerce.number().int().min(0).default(6_000),
    /**
     * Which proxies are believed when they say whom they ask for (X-Forwarded-For), so that addresses are counted and not proxies: how many stand
     * before the server, or their addresses and ranges. By default none, because a client can send that header as well.
     */
    trustProxy: trustedProxies.default(0),
    /** Whether GraphQL tells its schema. By default only while the server listens on a loopback address. */
    graphqlIntrospection: z.union([z.boolean(), z.stringbool({ error: "expected true or false" })]).optional(),
    /** Who must have issued a JWT (its claim iss). */
    jwtIssuer: z.string().min(1).optional(),
    /** Whom a JWT must be for (its claim aud). */
    jwtAudience: z.string().min(1).optional(),
    /** Where the issuer's public keys are. Either this or a secret. */
    jwtJwks: z
      .url({ protocol: /^https?$/, error: "expected the URL of a JWKS" })
      .refine((url) => !url.includes("@"), { error: "expected the URL of a JWKS without a user or a password" })
      .optional(),
    /** The secret that JWTs are signed with (HS256 and its like). */
    jwtSecret: z.string().min(32, { error: "expected at least 32 characters; a shorter one can be guessed" }).optional(),
    /** The claim that says viewer, enqueuer, operator or admin. */
    jwtRoleClaim: z.string().min(1).default("role"),
    /** The claim that names the tenant, or * for all; `none` when JWTs have no tenant and all see everything. */
    jwtTenantClaim: z.string().min(1).default("tenant"),
  })
  .check(({ value, issues }) => {
    const refuse = (key: keyof typeof value, message: string): void =>
      void issues.push({ code: "custom", path: [key], message, input: value[key] });
    if (value.jwtJwks === undefined) return;
    if (value.jwtSecret !== undefined) refuse("jwtSecret", "JWTs are checked with jwtJwks or with a secret, not with both");
    // The keys of a large issuer sign the tokens of many others.
    if (value.jwtIssuer === undefined) refuse("jwtIssuer", "needed beside jwtJwks");
    if (value.jwtAudience === undefined) refuse("jwtAudience", "needed beside jwtJwks");
  });

export type Config = Readonly<z.output<typeof configSchema>>;
export type ConfigInput = z.input<typeof configSchema>;

/** What `legwork.config.ts` may also hold: code that runs in the process of `legwork up`. */
export interface ConfigFile extends ConfigInput {
  /**
   * Called once by `legwork up`, when the server and the worker have started. `ready.json` waits for it. What it resolves to, if anything, is called
   * when `up` stops, before the worker and the server do.
   */
  onStart?: (context: StartContext) => Promise<void | (() => Promise<void>)>;
}

/** What `onStart` is told. */
export interface StartContext {
  /** The migrated database. */
  readonly databaseUrl: string;
  /** Whether that is the Postgres which `legwork up` has started itself. */
  readonly isEmbedded: boolean;
  readonly dataDir: string;
  /** Directories of the tasks that run here: those of the file, unless a flag or the environment has named others. */
  readonly tasks: readonly string[];
  readonly crontab: string;
}

/**
 * Gives a `legwork.config.ts` its types; returns what it was given.
 *
 * @example
 * import { defineConfig } from "legwork";
 *
 * export default defineConfig({ tasks: ["src/tasks"], concurrency: 20, corsOrigins: ["https://app.example.com"] });
 */
export function defineConfig(config: ConfigFile): ConfigFile {
  return config;
}

/** The environment variable of each setting. */
const ENVIRONMENT = {
  databaseUrl: "DATABASE_URL",
  dataDir: "LEGWORK_DATA_DIR",
  host: "LEGWORK_HOST",
  port: "LEGWORK_PORT",
  tasks: "LEGWORK_TASKS",
  crontab: "LEGWORK_CRONTAB",
  concurrency: "LEGWORK_CONCURRENCY",
  localQueueSize: "LEGWORK_LOCAL_QUEUE_SIZE",
  shutdownTimeout: "LEGWORK_SHUTDOWN_TIMEOUT",
  isolateMemory: "LEGWORK_ISOLATE_MEMORY",
  isolateJobs: "LEGWORK_ISOLATE_JOBS",
  maxBlocked: "LEGWORK_MAX_BLOCKED",
  metricsToken: "LEGWORK_METRICS_TOKEN",
  logLevel: "LEGWORK_LOG_LEVEL",
  hosts: "LEGWORK_HOSTS",
  corsOrigins: "LEGWORK_CORS_ORIGINS",
  rateLimit: "LEGWORK_RATE_LIMIT",
  trustProxy: "LEGWORK_TRUST_PROXY",
  graphqlIntrospection: "LEGWORK_GRAPHQL_INTROSPECTION",
  jwtIssuer: "LEGWORK_JWT_ISSUER",
  jwtAudience: "LEGWORK_JWT_AUDIENCE",
  jwtJwks: "LEGWORK_JWT_JWKS",
  jwtSecret: "LEGWORK_JWT_SECRET",
  jwtRoleClaim: "LEGWORK_JWT_ROLE_CLAIM",
  jwtTenantClaim: "LEGWORK_JWT_TENANT_CLAIM",
} as const satisfies Record<keyof Config, string>;

/** Settings that are lists: with commas in a variable. */
const LISTS: ReadonlySet<string> = new Set(["tasks", "hosts", "corsOrigins", "trustProxy"] satisfies (keyof Config)[]);

export interface LoadedConfig {
  readonly config: Config;
  readonly onStart: ConfigFile["onStart"];
}

/**
 * Resolves the configuration once: flags, then the environment, then `legwork.config.ts` of the working directory, then what a
 * preset of graphile-worker says, then the defaults. An empty variable counts as not set. Throws LW514 naming the setting, where it came from and what it
 * should be.
 */
export async function loadConfig(
  flags: Partial<ConfigInput> = {},
  environment: NodeJS.ProcessEnv = process.env,
  directory: string = process.cwd(),
  preset: Partial<ConfigInput> = {},
): Promise<LoadedConfig> {
  const { onStart, ...file } = await readConfigFile(directory);
  const merged: Record<string, unknown> = { ...preset, ...file };
  const origin = new Map<string, string>([
    ...Object.keys(preset).map((key): [string, string] => [key, "graphile.config"]),
    ...Object.keys(file).map((key): [string, string] => [key, "legwork.config.ts"]),
  ]);
  for (const [key, variable] of Object.entries(ENVIRONMENT)) {
    const value = environment[variable];
    if (value === undefined || value === "") continue;
    merged[key] = LISTS.has(key) ? value.split(",") : value;
    origin.set(key, variable);
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    merged[key] = value;
    origin.set(key, `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  }
  const parsed = configSchema.safeParse(merged);
  if (parsed.success) return { config: Object.freeze(parsed.data), onStart };
  const issue = parsed.error.issues[0];
  const key = String(issue?.path[0] ?? (issue?.code === "unrecognized_keys" ? issue.keys[0] : ""));
  throw new LegworkError("LW514", `${origin.get(key) ?? key}: ${issue?.message ?? "not valid"}.`, {
    hint: `Settings: ${Object.keys(ENVIRONMENT).join(", ")}. See docs/reference/configuration.md.`,
  });
}

async function readConfigFile(directory: string): Promise<ConfigFile> {
  for (const name of ["legwork.config.ts", "legwork.config.js", "legwork.config.mjs"]) {
    const path = resolve(directory, name);
    if (!existsSync(path)) continue;
    try {
      const loaded = (await import(pathToFileURL(path).href)) as { default?: ConfigFile };
      if (loaded.default === null || typeof loaded.default !== "object") {
        throw new TypeError("its default export is not an object");
      }
      return loaded.default;
    } catch (error) {
      throw new LegworkError("LW514", `${path} cannot be read: ${toError(error).message}.`, {
        hint: "It should `export default defineConfig({ … })`.",
        cause: error,
      });
    }
  }
  return {};
}
