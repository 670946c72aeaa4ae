import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import type { FastifyError, FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import { alertSchema } from "../../contract/alerts.ts";
import { attemptSchema, jobSchema, logLineSchema, newJobSchema, reasonSchema } from "../../contract/jobs.ts";
import { problemSchema } from "../../contract/problem.ts";
import { queueSchema, taskSchema, workerSchema } from "../../contract/queues.ts";
import { scheduleSchema } from "../../contract/schedules.ts";
import { workflowSchema } from "../../contract/workflows.ts";
import { LegworkError, toError } from "../../errors.ts";
import { assertCountable, withDigits } from "./body.ts";
import type { Logger } from "../../log.ts";
import { VERSION } from "../../version.ts";
import { addAlertRoutes } from "./alerts/alerts.ts";
import { addBulkRoutes } from "./jobs/bulk.ts";
import { addCreateRoutes } from "./jobs/create.ts";
import { addJobRoutes } from "./jobs/read.ts";
import { sendProblem, validatorCompiler } from "./problem.ts";
import { addQueueRoutes } from "./queues/read.ts";
import type { RestContext } from "./route.ts";
import { addScheduleRoutes } from "./schedules/schedules.ts";
import { addStatisticsRoutes } from "./statistics.ts";
import { addSystemRoutes } from "./system.ts";
import { addTokenRoutes } from "./tokens.ts";
import { addWorkflowRoutes } from "./workflows/workflows.ts";

/** Schemas that the description names and refers to. A registry of ours: a task's own schemas may have the same names. */
const components = z.registry<{ id: string }>();
for (const [id, schema] of Object.entries({
  Problem: problemSchema,
  Job: jobSchema,
  Attempt: attemptSchema,
  LogLine: logLineSchema,
  Reason: reasonSchema,
  NewJob: newJobSchema,
  Queue: queueSchema,
  Task: taskSchema,
  Worker: workerSchema,
  Schedule: scheduleSchema,
  Workflow: workflowSchema,
  Alert: alertSchema,
})) {
  components.add(schema as z.ZodType, { id });
}

/** What describe() and meta() say, which zod keeps in its own registry. */
function override({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: Record<string, unknown> }): void {
  // A time is text on the wire, and nothing else is read and written in two ways.
  if (zodSchema instanceof z.ZodCodec) Object.assign(jsonSchema, z.toJSONSchema(zodSchema.in as z.ZodType));
  const { description, examples } = z.globalRegistry.get(zodSchema as z.ZodType) ?? {};
  if (description !== undefined) jsonSchema.description = description;
  if (examples !== undefined) jsonSchema.examples = examples;
}

/** An OpenAPI document, as far as it is looked at. */
interface Described {
  paths?: object;
  components?: { schemas?: Record<string, object> };
}

/** Without the components that nothing refers to: each is there as it is read and as it is written. */
function onlyUsed(document: Described): Described {
  const all = document.components?.schemas ?? {};
  const used = new Set<string>();
  const collect = (part: unknown): void => {
    for (const [, name = ""] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      collect(all[name]);
    }
  };
  collect(document.paths ?? {});
  const schemas = Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)));
  return { ...document, components: { ...document.components, schemas } };
}

const description = `Everything that SQL and the command line can do with jobs, over HTTP.

Each request carries \`Authorization: Bearer <token>\`. Names of fields are those of the SQL views and functions, in camelCase; ids and counts are text, for they may be larger
than a JSON number holds; times are UTC. Lists come in pages: \`nextCursor\` of one is the \`cursor\` of the next, or ask for what comes before or after the last id (\`before\`, \`after\`). What goes wrong is answered as a problem
(RFC 9457) with a code that means the same everywhere, a hint what to do, and the fields at fault. The schema of this document is the one that requests are checked by.`;

/** What a page of the documentation may load: only what is here. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface RestOptions extends RestContext {
  log: Logger;
  /** What comes before every path, when another server passes requests on. */
  prefix: string;
  /** Makes a scope answer only those whose token is known, and tells it who they are (`request.principal`). */
  protect: (app: FastifyInstance) => void;
}

/** Adds the REST API at `/api/v1` and its description at `/docs` (`/docs/json`), which needs no token. */
export async function addRest(app: FastifyInstance, context: RestOptions): Promise<void> {
  await app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler as never);
    // Answers are described, and tests hold them to it; checking each one again would only take time.
    scope.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
    await scope.register(fastifySwagger, {
      openapi: {
        openapi: "3.1.0",
        info: { title: "Legwork", version: VERSION, description, license: { name: "MIT", identifier: "MIT" } },
        servers: [{ url: context.prefix === "" ? "/" : context.prefix, description: "This server." }],
        tags: [
          { name: "jobs", description: "Jobs that wait, run or have ended." },
          { name: "bulk", description: "The same with every job that fits a filter." },
          { name: "queues", description: "Queues: pauses, limits, retry policies." },
          { name: "tasks", description: "Tasks: running one, pauses, limits, retry policies." },
          { name: "schedules", description: "What enqueues jobs over time." },
          { name: "workflows", description: "Jobs that belong together: workflows and batches." },
          { name: "workers", description: "The processes that run jobs." },
          { name: "system", description: "What concerns everything." },
        ],
        components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      },
      transform: createJsonSchemaTransform({ schemaRegistry: components, zodToJsonConfig: { override } }),
      transformObject: (document) =>
        onlyUsed(
          createJsonSchemaTransformObject({ schemaRegistry: components, zodToJsonConfig: { override } })(document) as Described,
        ) as object,
    });
    await scope.register(fastifySwaggerUi, {
      routePrefix: "/docs",
      indexPrefix: context.prefix,
      staticCSP: DOCS_CSP,
      // Nothing is sent elsewhere to be validated.
      uiConfig: { validatorUrl: null, docExpansion: "none" } as never,
    });
    await scope.register(async (api) => addRoutes(api, context), { prefix: "/api/v1" });
  });
}

function addRoutes(app: FastifyInstance, context: RestOptions): void {
  // Only those who have a token learn it. The command line compares it with its own.
  app.addHook("onSend", async ({ principal }, reply) => {
    if (principal !== null) reply.header("legwork-version", VERSION);
  });
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply, context.log));
  app.setNotFoundHandler((request, reply) => {
    const error = new LegworkError("LW404", `There is no ${request.method} ${request.url.split("?")[0]}.`, {
      hint: "GET /docs lists what is here.",
    });
    return sendProblem(error, request, reply, context.log);
  });
  context.protect(app);
  // A request without a body may say that it is JSON all the same.
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, given, done) => {
    const body = given as string;
    if (body === "") return done(null, undefined);
    try {
      assertCountable(body);
    } catch (error) {
      return done(toError(error));
    }
    void parse(request, body, (error, value) => {
      if (error !== null) return done(error);
      try {
        done(null, withDigits(body, value));
      } catch (thrown) {
        done(toError(thrown));
      }
    });
  });
  addJobRoutes(app, context);
  addCreateRoutes(app, context);
  addBulkRoutes(app, context);
  addQueueRoutes(app, context);
  addScheduleRoutes(app, context);
  addWorkflowRoutes(app, context);
  addAlertRoutes(app, context);
  addStatisticsRoutes(app, context);
  addSystemRoutes(app, context);
  addTokenRoutes(app, context);
}
