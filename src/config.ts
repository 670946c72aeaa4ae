import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { durationExpected, parseDuration } from "./duration.ts";
import { type JobLinks, linkProblem } from "./job-links.ts";
import { LegworkError, toError } from "./errors.ts";
import { LOG_LEVELS } from "./log.ts";

/** A duration, converted to milliseconds. */
const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined) return milliseconds;
  context.addIssue({ code: "custom", message: durationExpected(value) });
  return z.NEVER;
});

/**
 * The number of proxies in front of the server, at most 16, or their addresses. In an environment variable, the number is the text of a list item.
 */
const trustedProxies = z.union([z.number(), z.array(z.string())]).transform((value, context) => {
  const count =
    typeof value === "number" ? value : value.length === 1 && /^\d+$/.test(value[0] ?? "") ? Number(value[0]) : undefined;
  if (count !== undefined && Number.isInteger(count) && count >= 0 && count <= 16) return count;
  if (Array.isArray(value) && value.every((entry) => isIP(entry) !== 0 || ipaddr.isValidCIDR(entry))) return value;
  context.addIssue({
    code: "custom",
    message: "expected the number of proxies in front of the server, such as 1, or their addresses, such as 10.0.0.0/8",
  });
  return z.NEVER;
});

/** Links by name. In an environment variable, each link is the text of a list item: Trace=https://tempo.example/trace/{traceId}. */
const jobLinks = z.union([z.record(z.string().min(1), z.string()), z.array(z.string())]).transform((value, context): JobLinks => {
  const links = Array.isArray(value)
    ? Object.fromEntries(value.map((entry) => [entry.split("=", 1)[0]?.trim() ?? "", entry.slice(entry.indexOf("=") + 1).trim()]))
    : value;
  for (const [name, url] of Object.entries(links)) {
    const problem =
      name === "" ? "expected a name and a URL, such as Trace=https://tempo.example/trace/{traceId}" : linkProblem(url);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  }
  return links;
});

const slotCount = z.coerce.number().int().min(1).max(10_000);

/** Numbers by queue. In environment variables and flags, each is the text of a list item: mail=5. */
const queueSlots = z
  .union([z.record(z.string().min(1), slotCount), z.array(z.string())])
  .transform((value, context): Readonly<Record<string, number>> => {
    if (!Array.isArray(value)) return value;
    const slots: Record<string, number> = {};
    for (const entry of value) {
      const [, queue = "", count = ""] = /^\s*(.+?)\s*=\s*(\d+)\s*$/.exec(entry) ?? [];
      const parsed = slotCount.safeParse(count);
      if (queue === "" || !parsed.success) {
        context.addIssue({
          code: "custom",
          message: `it is '${entry}'; expected a queue and a number from 1 to 10,000, such as mail=5`,
        });
        return z.NEVER;
      }
      if (Object.hasOwn(slots, queue)) {
        context.addIssue({ code: "custom", message: `it has the queue '${queue}' twice` });
        return z.NEVER;
      }
      slots[queue] = parsed.data;
    }
    return slots;
  });

const endpointUrl = z.url({
  protocol: /^https?$/,
  error: "expected the URL of an endpoint, such as https://app.example.com/jobs/mail",
});

/** Endpoints by task name. In an environment variable, each is the text of a list item: mail/send=https://app.example.com/jobs/mail. */
const endpoints = z
  .union([
    z.record(
      z.string().min(1).max(128),
      z.union([
        endpointUrl.transform((url) => ({ url })),
        z.strictObject({
          url: endpointUrl,
          description: z.string().optional(),
          queue: z.string().min(1).max(128).optional(),
          timeout: duration.optional(),
        }),
      ]),
    ),
    z.array(z.string()),
  ])
  .transform(
    (
      value,
      context,
    ): Readonly<
      Record<string, { url: string; description?: string | undefined; queue?: string | undefined; timeout?: number | undefined }>
    > => {
      if (!Array.isArray(value)) return value;
      return Object.fromEntries(
        value.map((entry) => {
          const [name, url] = [entry.split("=", 1)[0]?.trim() ?? "", entry.slice(entry.indexOf("=") + 1).trim()];
          if (name === "" || !endpointUrl.safeParse(url).success) {
            // The message leaves out the text, because it may contain a secret.
            context.addIssue({
              code: "custom",
              message: "expected tasks and URLs, such as mail/send=https://app.example.com/jobs/mail",
            });
          }
          return [name, { url }];
        }),
      );
    },
  );

const configSchema = z
  .strictObject({
    /** The database to use. Without it, `up` starts an embedded Postgres in the data directory. */
    databaseUrl: z
      .string()
      .regex(/^postgres(ql)?:\/\/./, { error: "expected postgres://user:password@host:port/database" })
      .optional(),
    /** The directory for the embedded Postgres, its password, the API token and ready.json. */
    dataDir: z.string().min(1).default(".legwork"),
    /** The address that the server listens on. */
    host: z.string().min(1).default("127.0.0.1"),
    /** The port that the server listens on; 0 takes a free one. */
    port: z.coerce.number().int().min(0).max(65_535).default(4400),
    /** The port on which `legwork worker` serves /health, /ready and /metrics, without authentication; 0 takes a free one. None by default. */
    healthPort: z.coerce.number().int().min(0).max(65_535).optional(),
    /** The address on which to open that port. Kubernetes probes come from outside the container and need 0.0.0.0. */
    healthHost: z.string().min(1).default("127.0.0.1"),
    /** Directories of task files, or single files that export several tasks. */
    tasks: z.array(z.string().min(1)).min(1).default(["tasks"]),
    /**
     * Tasks that are HTTP endpoints: the name of each task, and the URL that its jobs are sent to (`docs/guides/tasks-in-other-languages.md`). In the
     * environment: `mail/send=https://app.example.com/jobs/mail,report=https://…`. In the file, a value may also be `{ url, description, queue,
     * timeout }`; an attempt may take 5 minutes by default.
     */
    endpoints: endpoints.default({}),
    /** The secrets that requests to endpoints are signed with: `whsec_` followed by at least 24 bytes in base64. List several while rotating them. */
    endpointSecret: z
      .array(
        z
          .string()
          .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, { error: "expected whsec_ followed by at least 24 bytes in base64" }),
      )
      .max(5)
      .default([]),
    /** graphile-worker's crontab. If the file does not exist, there are no crontab schedules. */
    crontab: z.string().min(1).default("crontab"),
    /**
     * Which of its tasks a worker runs: task names, patterns such as `notify/*`, and queues such as `queue:mail`. All by default. The worker fetches
     * no other jobs.
     */
    only: z.array(z.string().min(1)).default([]),
    /** Which of its tasks a worker does not run, in the same form. */
    except: z.array(z.string().min(1)).default([]),
    /**
     * How many jobs of a queue one worker runs at a time, by queue: `{ mail: 5 }`. In the environment: `mail=5,reports=1`. By default, only
     * `concurrency` limits them. To limit all workers together, set a concurrency limit on the queue.
     */
    slots: queueSlots.default({}),
    /** The number of jobs that one worker runs at a time. */
    concurrency: z.coerce.number().int().min(1).max(10_000).default(10),
    /**
     * The number of jobs that one statement fetches; 0 fetches one at a time. By default the worker adapts it: it fetches short jobs ahead, as many
     * as start within about 20 ms, and longer jobs only when a slot is free. With a fixed number, fetched jobs wait for this worker even while
     * another one is idle.
     */
    localQueueSize: z.coerce.number().int().min(0).max(10_000).optional(),
    /** How long a stopping worker lets running jobs finish before it returns them to the queue. */
    shutdownTimeout: duration.default(25_000),
    /** The memory limit of an isolated task (MB): for the JavaScript heap in a thread, for all memory in a process. */
    isolateMemory: z.coerce.number().int().min(64).max(1_048_576).default(512),
    /** The number of jobs after which a thread or process for isolated tasks is replaced. */
    isolateJobs: z.coerce.number().int().min(1).max(1_000_000_000).default(5_000),
    /**
     * How long a task may block the worker's event loop with synchronous code before the process is killed; 0 for no limit. 5 minutes for `legwork
     * worker` and `legwork up`; no limit by default under `createLegwork`, which runs in your own process. Only the job that blocked it loses an
     * attempt.
     */
    maxBlocked: duration.optional(),
    /** A token that Prometheus may send instead of an API token. It is valid only for `/metrics`. */
    metricsToken: z.string().min(16, { error: "expected 16 characters or more" }).optional(),
    logLevel: z.enum(LOG_LEVELS).default("info"),
    /** Host names that the server accepts in addition to its own address and this host's names: the names in the URLs that users open. */
    hosts: z.array(z.string().min(1).toLowerCase()).default([]),
    /** Origins whose pages may read responses, such as https://app.example.com. None by default. */
    corsOrigins: z
      .array(z.string().regex(/^https?:\/\/[^/*]+$/, { error: "expected an origin such as https://app.example.com" }))
      .default([]),
    /** The number of requests that each token may make in a minute; 0 for no limit. */
    rateLimit: z.coerce.number().int().min(0).default(6_000),
    /**
     * The proxies whose headers are trusted: the number of proxies in front of the server, or their addresses and ranges. They name the client's
     * address (X-Forwarded-For), so that requests are counted by client and not by proxy, the path that they have removed (X-Forwarded-Prefix), and
     * the host of the page (X-Forwarded-Host). None by default, because clients can send these headers too.
     */
    trustProxy: trustedProxies.default(0),
    /**
     * The path below which a proxy serves Legwork, as shown in the browser's address bar, such as /tools/jobs. The proxy may keep the path or remove
     * it. By default the path in a trusted proxy's X-Forwarded-Prefix header, otherwise none.
     */
    publicPath: z
      .string()
      .transform((path) => path.replace(/\/+$/, ""))
      .refine((path) => /^(\/[\w.~-]+)*$/.test(path), { error: "expected a path such as /tools/jobs" })
      .refine((path) => !/^\/(api\/v1|graphql|docs|assets|health|ready|metrics)(\/|$)/.test(path), {
        error: "expected a path that is not one of the server's own, such as /tools/jobs",
      })
      .optional(),
    /**
     * Links from a job's page to other systems, such as traces and error trackers. Each has a name and a URL, in which {jobId}, {traceId},
     * {correlationId}, {task}, {queue} and {tenant} are replaced. A link is left out for a job that lacks one of its values. In the environment:
     * `Trace=https://tempo.example/trace/{traceId},Errors=https://sentry.example/?query={jobId}`. None by default.
     */
    jobLinks: jobLinks.default({}),
    /** Whether GraphQL introspection is enabled. By default only while the server listens on a loopback address. */
    graphqlIntrospection: z.union([z.boolean(), z.stringbool({ error: "expected true or false" })]).optional(),
    /** The issuer that JWTs must have (their claim iss). */
    jwtIssuer: z.string().min(1).optional(),
    /** The audience that JWTs must have (their claim aud). */
    jwtAudience: z.string().min(1).optional(),
    /** The URL of the issuer's public keys. Set either this or a secret. */
    jwtJwks: z
      .url({ protocol: /^https?$/, error: "expected the URL of a JWKS" })
      .refine((url) => !url.includes("@"), { error: "expected the URL of a JWKS without a user or a password" })
      .optional(),
    /** The secret that JWTs are signed with (HS256, HS384 or HS512). */
    jwtSecret: z.string().min(32, { error: "expected at least 32 characters; a shorter one can be guessed" }).optional(),
    /** The claim that holds the role: viewer, enqueuer, operator or admin. */
    jwtRoleClaim: z.string().min(1).default("role"),
    /** The claim that contains the tenant, or * for all tenants; `none` if JWTs have no tenant and may see everything. */
    jwtTenantClaim: z.string().min(1).default("tenant"),
  })
  .check(({ value, issues }) => {
    const refuse = (key: keyof typeof value, message: string): void =>
      void issues.push({ code: "custom", path: [key], message, input: value[key] });
    if (value.jwtJwks === undefined) return;
    if (value.jwtSecret !== undefined) refuse("jwtSecret", "set either jwtJwks or jwtSecret, not both");
    // A large issuer signs tokens for many other audiences with the same keys.
    if (value.jwtIssuer === undefined) refuse("jwtIssuer", "required with jwtJwks");
    if (value.jwtAudience === undefined) refuse("jwtAudience", "required with jwtJwks");
  });

export type Config = Readonly<z.output<typeof configSchema>>;
export type ConfigInput = z.input<typeof configSchema>;

/** The content of `legwork.config.ts`: settings, and code that runs in the process of `legwork up`. */
export interface ConfigFile extends ConfigInput {
  /**
   * Called once by `legwork up`, when the server and the worker have started. `ready.json` waits for it. If it returns a function, that is called
   * when `up` stops, before the worker and the server stop.
   */
  onStart?: (context: StartContext) => Promise<void | (() => Promise<void>)>;
  /** Middleware, as `defineConfig` describes it. */
  middleware?: readonly { readonly name: string }[];
}

/** The argument of `onStart`. */
export interface StartContext {
  /** The migrated database. */
  readonly databaseUrl: string;
  /** Whether this is the embedded Postgres that `legwork up` started. */
  readonly isEmbedded: boolean;
  readonly dataDir: string;
  /** Directories of the tasks that run here: those of this file, unless a flag or the environment names others. */
  readonly tasks: readonly string[];
  readonly crontab: string;
}

/** The environment variable of each setting. */
const ENVIRONMENT = {
  databaseUrl: "DATABASE_URL",
  dataDir: "LEGWORK_DATA_DIR",
  host: "LEGWORK_HOST",
  port: "LEGWORK_PORT",
  healthPort: "LEGWORK_HEALTH_PORT",
  healthHost: "LEGWORK_HEALTH_HOST",
  tasks: "LEGWORK_TASKS",
  endpoints: "LEGWORK_ENDPOINTS",
  endpointSecret: "LEGWORK_ENDPOINT_SECRET",
  crontab: "LEGWORK_CRONTAB",
  only: "LEGWORK_ONLY",
  except: "LEGWORK_EXCEPT",
  slots: "LEGWORK_SLOTS",
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
  publicPath: "LEGWORK_PUBLIC_PATH",
  jobLinks: "LEGWORK_JOB_LINKS",
  graphqlIntrospection: "LEGWORK_GRAPHQL_INTROSPECTION",
  jwtIssuer: "LEGWORK_JWT_ISSUER",
  jwtAudience: "LEGWORK_JWT_AUDIENCE",
  jwtJwks: "LEGWORK_JWT_JWKS",
  jwtSecret: "LEGWORK_JWT_SECRET",
  jwtRoleClaim: "LEGWORK_JWT_ROLE_CLAIM",
  jwtTenantClaim: "LEGWORK_JWT_TENANT_CLAIM",
} as const satisfies Record<keyof Config, string>;

/** Settings that are lists, separated by commas in an environment variable. */
const LISTS: ReadonlySet<string> = new Set([
  "tasks",
  "hosts",
  "corsOrigins",
  "trustProxy",
  "jobLinks",
  "only",
  "except",
  "slots",
  "endpoints",
  "endpointSecret",
] satisfies (keyof Config)[]);

export interface LoadedConfig {
  readonly config: Config;
  readonly onStart: ConfigFile["onStart"];
  /** The middleware from the file, not yet validated. */
  readonly middleware: unknown;
  /** The file that was read; undefined without one. */
  readonly file: string | undefined;
}

/**
 * Resolves the configuration once: flags, then the environment, then `legwork.config.ts` in the working directory, then a graphile-worker preset,
 * then the defaults. An empty variable counts as unset. Throws LW514 naming the setting, where it came from and what it should be.
 */
export async function loadConfig(
  flags: Partial<ConfigInput> = {},
  environment: NodeJS.ProcessEnv = process.env,
  directory: string = process.cwd(),
  preset: Partial<ConfigInput> = {},
): Promise<LoadedConfig> {
  const { path, content } = await readConfigFile(directory);
  const { onStart, middleware, ...file } = content;
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
  if (parsed.success) return { config: Object.freeze(parsed.data), onStart, middleware, file: path };
  const issue = parsed.error.issues[0];
  const key = String(issue?.path[0] ?? (issue?.code === "unrecognized_keys" ? issue.keys[0] : ""));
  throw new LegworkError(
    "LW514",
    `${origin.get(key) ?? key}: ${numberMessage(issue, merged[key]) ?? issue?.message ?? "invalid"}.`,
    {
      hint:
        issue?.code === "unrecognized_keys"
          ? `Settings: ${Object.keys(ENVIRONMENT).join(", ")}. See docs/reference/configuration.md.`
          : "docs/reference/configuration.md describes every setting and its values.",
    },
  );
}

/** What is wrong with the value of a setting that is a number; undefined for any other. */
function numberMessage(issue: z.core.$ZodIssue | undefined, given: unknown): string | undefined {
  if (typeof given !== "string" && typeof given !== "number") return undefined;
  const must = mustBe(issue);
  return must === undefined ? undefined : `it is '${given}'; it must be ${must}`;
}

function mustBe(issue: z.core.$ZodIssue | undefined): string | undefined {
  if (issue?.code === "invalid_type" && issue.expected === "number") return "a number";
  if (issue?.code === "invalid_type" && issue.expected === "int") return "a whole number";
  if (issue?.code === "too_small" && issue.origin === "number") return `at least ${issue.minimum.toLocaleString("en-US")}`;
  if (issue?.code === "too_big" && issue.origin === "number") return `at most ${issue.maximum.toLocaleString("en-US")}`;
  return undefined;
}

async function readConfigFile(directory: string): Promise<{ path: string | undefined; content: ConfigFile }> {
  for (const name of ["legwork.config.ts", "legwork.config.js", "legwork.config.mjs"]) {
    const path = resolve(directory, name);
    if (!existsSync(path)) continue;
    try {
      const loaded = (await import(pathToFileURL(path).href)) as { default?: ConfigFile };
      if (loaded.default === null || typeof loaded.default !== "object") {
        throw new TypeError("its default export is not an object");
      }
      return { path, content: loaded.default };
    } catch (error) {
      const isTooNew = (error as { code?: unknown } | undefined)?.code === "ERR_UNKNOWN_FILE_EXTENSION";
      throw new LegworkError("LW514", `${path} cannot be read: ${toError(error).message}.`, {
        hint: isTooNew
          ? "Node reads TypeScript from version 22.18 on. Use a newer Node, or write the file in JavaScript and name it legwork.config.mjs."
          : "It should `export default defineConfig({ … })`.",
        cause: error,
      });
    }
  }
  return { path: undefined, content: {} };
}
