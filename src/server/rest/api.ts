import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import type { FastifyError, FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import { alertSchema } from "../../contract/alerts.ts";
import { bulkActionSchema } from "../../contract/bulk-actions.ts";
import { attemptSchema, jobSchema, logLineSchema, newJobSchema, reasonSchema } from "../../contract/jobs.ts";
import { problemSchema } from "../../contract/problem.ts";
import { queueSchema, taskSchema, workerSchema } from "../../contract/queues.ts";
import { scheduleSchema } from "../../contract/schedules.ts";
import { workflowSchema } from "../../contract/workflows.ts";
import { LegworkError, toError } from "../../errors.ts";
import { assertCountable, withDigits } from "./body.ts";
import type { PublicPath } from "../http/public-path.ts";
import type { Logger } from "../../log.ts";
import { VERSION } from "../../version.ts";
import { addAlertRoutes } from "./alerts/alerts.ts";
import { addExplainRoutes } from "./explain.ts";
import { addBulkActionRoutes } from "./jobs/bulk-actions.ts";
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

/** The named schemas of the OpenAPI document. They have their own registry, because tasks' schemas may have the same names. */
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
  BulkAction: bulkActionSchema,
})) {
  components.add(schema as z.ZodType, { id });
}

/** Adds the texts of describe() and meta(), which zod keeps in its own registry. */
function override({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: Record<string, unknown> }): void {
  // Times are strings on the wire. All other types have the same form in JSON and in TypeScript.
  if (zodSchema instanceof z.ZodCodec) Object.assign(jsonSchema, z.toJSONSchema(zodSchema.in as z.ZodType));
  const { description, examples } = z.globalRegistry.get(zodSchema as z.ZodType) ?? {};
  if (description !== undefined) jsonSchema.description = description;
  if (examples !== undefined) jsonSchema.examples = examples;
}

/** The parts of an OpenAPI document that are read here. */
interface Described {
  paths?: object;
  components?: { schemas?: Record<string, object> };
}

/** Removes unused components. Each component exists in two forms, for input and for output, and often only one of them is used. */
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

const description = `The job operations that SQL and the command line provide, over HTTP.

Every request requires the header \`Authorization: Bearer <token>\`. Fields have the names of the SQL views' columns and the functions' parameters, in camelCase. Ids and counts are
strings, because they may exceed the range of JSON numbers. Times are in UTC. Lists are paginated: pass a page's \`nextCursor\` as \`cursor\` to get the next page, or the last id as \`before\` or \`after\`.
Errors are returned as problem details (RFC 9457) with the error code that all interfaces share, a hint, and the invalid fields. Requests are validated against the schemas in this document.`;

/** Allows the documentation's pages to load resources of this server only. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const THIS_SERVER = { url: "/", description: "This server." };

export interface RestOptions extends RestContext {
  log: Logger;
  /** The path that precedes every path in a client's URL. */
  publicPath: PublicPath;
  /** Makes a scope require a valid token and sets the client as `request.principal`. */
  protect: (app: FastifyInstance) => void;
}

/** Adds the REST API at `/api/v1`, and its documentation at `/docs` (`/docs/json`), which requires no token. */
export async function addRest(app: FastifyInstance, context: RestOptions): Promise<void> {
  await app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler as never);
    // Tests verify that responses match their schemas. Validating each response here would only take time.
    scope.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
    await scope.register(fastifySwagger, {
      openapi: {
        openapi: "3.1.0",
        info: { title: "Legwork", version: VERSION, description, license: { name: "MIT", identifier: "MIT" } },
        servers: [THIS_SERVER],
        tags: [
          { name: "jobs", description: "Jobs in all states." },
          { name: "bulk", description: "Actions on all jobs that match a filter." },
          { name: "queues", description: "Queues with their pauses, limits and retry policies." },
          { name: "tasks", description: "Tasks with their pauses, limits and retry policies." },
          { name: "schedules", description: "Schedules and their occurrences." },
          { name: "workflows", description: "Workflows and batches." },
          { name: "workers", description: "Processes that run jobs." },
          { name: "system", description: "The whole system: overview, emergency stop, audit log and doctor." },
        ],
        components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      },
      transform: createJsonSchemaTransform({ schemaRegistry: components, zodToJsonConfig: { override } }),
      transformObject: (document) =>
        onlyUsed(
          createJsonSchemaTransformObject({ schemaRegistry: components, zodToJsonConfig: { override } })(document) as Described,
        ) as object,
    });
    // With a trailing slash, the page's relative URLs work at any path at which a proxy serves the page.
    scope.addHook("onRequest", async ({ url }, reply) => {
      if (/^\/docs(?=\?|$)/.test(url)) await reply.redirect("docs/");
    });
    await scope.register(fastifySwaggerUi, {
      routePrefix: "/docs",
      // The document is shared by all requests; only its URLs depend on the request.
      transformSpecificationClone: false,
      transformSpecification: (document, request) => ({
        ...document,
        servers: [{ ...THIS_SERVER, url: context.publicPath.of(request.raw) || "/" }],
      }),
      staticCSP: DOCS_CSP,
      // Do not send the document to an external validator.
      uiConfig: { validatorUrl: null, docExpansion: "none" } as never,
    });
    await scope.register(async (api) => addRoutes(api, context), { prefix: "/api/v1" });
  });
}

function addRoutes(app: FastifyInstance, context: RestOptions): void {
  // Only authenticated clients receive the version, which the command line compares with its own.
  app.addHook("onSend", async ({ principal }, reply) => {
    if (principal !== null) reply.header("legwork-version", VERSION);
  });
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply, context.log));
  app.setNotFoundHandler((request, reply) => {
    const error = new LegworkError("LW404", `Unknown route: ${request.method} ${request.url.split("?")[0]}.`, {
      hint: "GET /docs lists the available routes.",
    });
    return sendProblem(error, request, reply, context.log);
  });
  context.protect(app);
  // A request without a body may still declare the content type JSON.
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
  addBulkActionRoutes(app, context);
  addQueueRoutes(app, context);
  addExplainRoutes(app, context);
  addScheduleRoutes(app, context);
  addWorkflowRoutes(app, context);
  addAlertRoutes(app, context);
  addStatisticsRoutes(app, context);
  addSystemRoutes(app, context);
  addTokenRoutes(app, context);
}
