import { EventEmitter } from "node:events";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import type { SharedOptions } from "graphile-worker";
import type { ConfigInput } from "../../config.ts";
import { LegworkError, toError } from "../../errors.ts";

/**
 * graphile-worker's own copy of graphile-config. PostGraphile needs a later version, and if graphile-config were a dependency of Legwork, pnpm would
 * give PostGraphile that version too.
 */
const { loadConfig } = createRequire(createRequire(import.meta.url).resolve("graphile-worker"))(
  "graphile-config/load",
) as typeof import("graphile-config/load");

/** The type of graphile-worker's presets. */
export type Preset = NonNullable<SharedOptions["preset"]>;

/** graphile-worker's type of forbidden flags: a list, or a function that is called before each fetch. */
export type ForbiddenFlags = string[] | (() => null | string[] | Promise<null | string[]>);

/** The plugins of graphile-worker's own preset, which every worker has. */
const OWN_PLUGINS = new Set(["LoadTaskFromJsPlugin", "LoadTaskFromExecutableFilePlugin"]);

/**
 * A graphile-worker preset, for example from a `graphile.config.ts`, as Legwork's worker uses it. Settings that Legwork does not support are
 * rejected, so that no setting is silently ignored.
 */
export class WorkerConfig {
  /** The options of the preset itself, without graphile-worker's defaults. */
  readonly options: GraphileConfig.WorkerOptions & { readonly forbiddenFlags?: ForbiddenFlags };
  readonly #preset: Preset;
  readonly #events: EventEmitter;
  #isInitialized = false;

  /** Throws LW514 for a schema other than graphile_worker, and for unprepared statements. `origin` names the preset's source. */
  constructor(preset: Preset, origin: string) {
    this.#preset = preset;
    this.options = ownOptions(preset);
    this.#events = this.options.events ?? new EventEmitter();
    const { schema, preparedStatements } = this.options;
    if (schema !== undefined) assertSchema(schema, `${origin}: worker.schema`);
    if (preparedStatements === false) {
      throw new LegworkError(
        "LW514",
        `${origin}: worker.preparedStatements is false, but Legwork's worker needs prepared statements.`,
        {
          hint: "Remove the setting, and use a connection that supports prepared statements: to Postgres itself, or to a pooler in session mode.",
        },
      );
    }
  }

  /** The preset's options as Legwork settings. `legwork.config.ts`, the environment and flags take precedence over them. */
  get settings(): Partial<ConfigInput> {
    const { connectionString, taskDirectory, crontabFile, concurrentJobs, localQueue, gracefulShutdownAbortTimeout } =
      this.options;
    const settings = {
      databaseUrl: connectionString,
      tasks: taskDirectory === undefined ? undefined : [taskDirectory],
      crontab: crontabFile,
      concurrency: concurrentJobs,
      localQueueSize: localQueue?.size === undefined ? undefined : Math.max(0, localQueue.size),
      // The abort signals fire before the shutdown timeout (25 s in Legwork) expires.
      shutdownTimeout:
        gracefulShutdownAbortTimeout !== undefined && gracefulShutdownAbortTimeout > 20_000
          ? gracefulShutdownAbortTimeout * 1.25
          : undefined,
    };
    return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  }

  /** Returns the emitter for graphile-worker's events, which passes them to its own listeners and to the preset's emitter. */
  events(): EventEmitter {
    return new ForwardingEvents(this.#events);
  }

  /**
   * Returns the preset for graphile-worker. Its plugins are initialized once, even if runners are restarted and other parts of the worker load the
   * preset.
   */
  preset(): Preset {
    if (this.#isInitialized) return withoutInit(this.#preset);
    this.#isInitialized = true;
    return { extends: [this.#preset], worker: { events: this.#events } };
  }

  /** Whether the preset disables a plugin. */
  isDisabled(plugin: string): boolean {
    return disables(this.#preset, plugin);
  }
}

function disables({ disablePlugins = [], extends: others = [] }: Preset, plugin: string): boolean {
  return disablePlugins.includes(plugin) || others.some((preset) => disables(preset, plugin));
}

class ForwardingEvents extends EventEmitter {
  readonly #to: EventEmitter;

  constructor(to: EventEmitter) {
    super();
    this.#to = to;
  }

  override emit(name: string | symbol, ...values: unknown[]): boolean {
    const isHeard = super.emit(name, ...values);
    return this.#to.emit(name, ...values) || isHeard;
  }
}

/**
 * Reads `graphile.config.*` from the working directory, or the named file, like graphile-worker's command line. Undefined if no file exists. Throws
 * LW514 for a file that cannot be read, and the errors of `WorkerConfig`.
 */
export async function loadWorkerConfig(file?: string): Promise<WorkerConfig | undefined> {
  if (file !== undefined && !existsSync(file)) {
    throw new LegworkError("LW514", `${file} does not exist.`, { hint: "Name a graphile-worker preset with --config." });
  }
  let preset: Preset | null | undefined;
  try {
    preset = await loadConfig(file);
  } catch (error) {
    throw new LegworkError("LW514", `${file ?? "graphile.config"} cannot be read: ${toError(error).message.split("\n", 1)[0]}.`, {
      hint: "It should default-export a preset: `const preset: GraphileConfig.Preset = { worker: { … } }`.",
      cause: error,
    });
  }
  if (preset === null || preset === undefined) return undefined;
  return new WorkerConfig(preset, file ?? "graphile.config");
}

/** Throws LW514 for a graphile-worker schema that Legwork does not support. */
export function assertSchema(schema: string, origin: string): void {
  if (schema === "graphile_worker") return;
  throw new LegworkError("LW514", `${origin} is '${schema}', but Legwork supports only the schema graphile_worker.`, {
    hint: `Remove the setting, and let graphile-worker's own worker run the jobs that still wait in '${schema}'.`,
  });
}

/** Returns the worker options of a preset and those that it extends, without graphile-worker's defaults. */
function ownOptions(preset: Preset): GraphileConfig.WorkerOptions {
  if (preset.plugins?.some(({ name }) => OWN_PLUGINS.has(name)) === true) return {};
  return Object.assign({}, ...(preset.extends ?? []).map(ownOptions), preset.worker);
}

const copies = new WeakMap<GraphileConfig.Plugin, GraphileConfig.Plugin>();

function withoutInit(preset: Preset): Preset {
  const { extends: others, plugins } = preset;
  return {
    ...preset,
    ...(others === undefined ? {} : { extends: others.map(withoutInit) }),
    ...(plugins === undefined ? {} : { plugins: plugins.map(initialized) }),
  };
}

/**
 * Returns the plugin without its init hook, for a worker that has already initialized it. Returns the same copy each time, because graphile-config
 * compares plugins by identity.
 */
function initialized(plugin: GraphileConfig.Plugin): GraphileConfig.Plugin {
  const { hooks, middleware } = plugin.worker ?? {};
  if (OWN_PLUGINS.has(plugin.name) || (hooks?.init === undefined && middleware?.init === undefined)) return plugin;
  let copy = copies.get(plugin);
  if (copy === undefined) {
    const { init: _hook, ...otherHooks } = hooks ?? {};
    const { init: _middleware, ...otherMiddleware } = middleware ?? {};
    copy = { ...plugin, worker: { ...plugin.worker, hooks: otherHooks, middleware: otherMiddleware } };
    copies.set(plugin, copy);
  }
  return copy;
}
