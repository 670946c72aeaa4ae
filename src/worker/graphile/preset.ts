import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import type { SharedOptions } from "graphile-worker";
import type { ConfigInput } from "../../config.ts";
import { LegworkError, toError } from "../../errors.ts";

/** graphile-worker's own copy. PostGraphile needs a later version, and as a dependency of ours pnpm would give PostGraphile this one. */
const { loadConfig } = createRequire(createRequire(import.meta.url).resolve("graphile-worker"))(
  "graphile-config/load",
) as typeof import("graphile-config/load");

/** What graphile-worker takes as its preset. */
export type Preset = NonNullable<SharedOptions["preset"]>;

/** What graphile-worker takes for "no job with one of these flags": a list, or a function that is asked before each job is fetched. */
export type ForbiddenFlags = string[] | (() => null | string[] | Promise<null | string[]>);

/** The plugins of graphile-worker's own preset, which every worker has. */
const OWN_PLUGINS = new Set(["LoadTaskFromJsPlugin", "LoadTaskFromExecutableFilePlugin"]);

/**
 * A preset of graphile-worker, such as that of a `graphile.config.ts`, as Legwork's worker uses it. What Legwork cannot do is refused, so that nothing of it is lost
 * without a word.
 */
export class WorkerConfig {
  /** What it says itself; graphile-worker's defaults, which a preset may extend, are not among it. */
  readonly options: GraphileConfig.WorkerOptions & { readonly forbiddenFlags?: ForbiddenFlags };
  readonly #preset: Preset;
  readonly #events: EventEmitter;
  #isInitialised = false;

  /** Throws LW514 for another schema than graphile_worker, and for unprepared statements. `origin` is where it comes from. */
  constructor(preset: Preset, origin: string) {
    this.#preset = preset;
    this.options = ownOptions(preset);
    this.#events = this.options.events ?? new EventEmitter();
    const { schema, preparedStatements } = this.options;
    if (schema !== undefined) assertSchema(schema, `${origin}: worker.schema`);
    if (preparedStatements === false) {
      throw new LegworkError(
        "LW514",
        `${origin}: worker.preparedStatements is false, and Legwork's worker needs prepared statements.`,
        {
          hint: "Remove the setting, and give the worker a connection that keeps prepared statements: one to Postgres itself, or to a pooler in session mode.",
        },
      );
    }
  }

  /** Its options as settings of Legwork, which those of `legwork.config.ts`, the environment and flags come before. */
  get settings(): Partial<ConfigInput> {
    const { connectionString, taskDirectory, crontabFile, concurrentJobs, localQueue, gracefulShutdownAbortTimeout } =
      this.options;
    const settings = {
      databaseUrl: connectionString,
      tasks: taskDirectory === undefined ? undefined : [taskDirectory],
      crontab: crontabFile,
      concurrency: concurrentJobs,
      localQueueSize: localQueue?.size === undefined ? undefined : Math.max(0, localQueue.size),
      // Signals abort within the time that jobs have to finish; Legwork's is 25 s.
      shutdownTimeout:
        gracefulShutdownAbortTimeout !== undefined && gracefulShutdownAbortTimeout > 20_000
          ? gracefulShutdownAbortTimeout * 1.25
          : undefined,
    };
    return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  }

  /** Where graphile-worker is to emit its events: to what listens here, and to the emitter of the preset. */
  events(): EventEmitter {
    return new ForwardingEvents(this.#events);
  }

  /** The preset for graphile-worker. Its plugins are initialised once, however often a runner starts anew and whatever else the worker loads. */
  preset(): Preset {
    if (this.#isInitialised) return withoutInit(this.#preset);
    this.#isInitialised = true;
    return { extends: [this.#preset], worker: { events: this.#events } };
  }

  /** Whether the preset does without a plugin. */
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
 * Reads `graphile.config.*` of the working directory, or the file that was named, as graphile-worker's command line does. Undefined where there is none.
 * Throws LW514 for one that cannot be read, and what `WorkerConfig` throws.
 */
export async function loadWorkerConfig(file?: string): Promise<WorkerConfig | undefined> {
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

/** Throws LW514 for a schema of graphile-worker that Legwork does not work in. */
export function assertSchema(schema: string, origin: string): void {
  if (schema === "graphile_worker") return;
  throw new LegworkError("LW514", `${origin} is '${schema}', and Legwork works in the schema graphile_worker only.`, {
    hint: `Remove the setting, and let graphile-worker's own worker run what still waits in '${schema}'.`,
  });
}

/** What a preset and those that it extends say of the worker, without graphile-worker's defaults. */
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
    ...(plugins === undefined ? {} : { plugins: plugins.map(initialised) }),
  };
}

/** The same plugin for a worker in which it has been initialised; one copy of each, because graphile-config goes by identity. */
function initialised(plugin: GraphileConfig.Plugin): GraphileConfig.Plugin {
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
