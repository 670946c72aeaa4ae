import {
  type Context,
  context,
  ProxyTracerProvider,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";

/** W3C Trace Context, version 00: trace id, span id, flags. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Whether somebody has registered an OpenTelemetry SDK. Without one, nothing here is ever called again. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer("legwork") !== undefined;
}

function tracer(): Tracer {
  return trace.getTracer("legwork");
}

/** The attributes that OpenTelemetry's conventions for messaging give to both ends. */
function attributesOf(task: string, operation: "send" | "process"): Record<string, string> {
  return {
    "messaging.system": "legwork",
    "messaging.destination.name": task,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}

/** As it travels with a job; undefined for a span that says nothing. */
function traceparentOf(span: Span): string | undefined {
  const spanContext = span.spanContext();
  if (!trace.isSpanContextValid(spanContext)) return undefined;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** The context in which a job's attempt runs: a child of whoever enqueued it. What is no traceparent counts as none. */
function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  const base = context.active();
  if (traceId === undefined || spanId === undefined || flags === undefined) return base;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return trace.setSpanContext(base, { traceId, spanId, traceFlags, isRemote: true });
}

/**
 * Enqueues within a span of its own, a child of the active one, and gives `send` the traceparent that is to travel with the job. Where no
 * SDK is registered it only calls `send`.
 */
export async function traceSend(
  task: string,
  jobs: number,
  send: (traceparent: string | undefined) => Promise<string[]>,
): Promise<string[]> {
  if (!isTracing()) return await send(undefined);
  const attributes = { ...attributesOf(task, "send"), ...(jobs === 1 ? {} : { "messaging.batch.message_count": jobs }) };
  return await tracer().startActiveSpan(`send ${task}`, { kind: SpanKind.PRODUCER, attributes }, async (span) => {
    try {
      const ids = await send(traceparentOf(span));
      if (jobs === 1 && ids[0] !== undefined) span.setAttribute("messaging.message.id", ids[0]);
      return ids;
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

export interface TracedJob {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly attempts: number;
  readonly correlationId: string;
  readonly tenant: string | null;
}

/** The span of one attempt. */
export class AttemptSpan {
  readonly #span: Span;
  readonly #context: Context;

  constructor(job: TracedJob, traceparent: string | null) {
    const parent = contextOf(traceparent);
    const attributes = {
      ...attributesOf(job.task, "process"),
      "messaging.message.id": job.id,
      "messaging.message.conversation_id": job.correlationId,
      "legwork.queue": job.queue,
      "legwork.attempt": job.attempts,
      ...(job.tenant === null ? {} : { "legwork.tenant": job.tenant }),
    };
    this.#span = tracer().startSpan(`process ${job.task}`, { kind: SpanKind.CONSUMER, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  /** For what the attempt itself enqueues; undefined where the SDK makes no real span. */
  get traceparent(): string | undefined {
    return traceparentOf(this.#span);
  }

  /** Calls `work` with the span being the active one, also in what it awaits. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return context.with(this.#context, work);
  }

  /** outcome: completed, failed, put_back or given_back. Only what failed is an error. */
  end(outcome: string, error?: Error): void {
    this.#span.setAttribute("legwork.outcome", outcome);
    if (outcome === "failed") fail(this.#span, error);
    this.#span.end();
  }
}

function fail(span: Span, thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  span.recordException(error);
  span.setAttribute("error.type", error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}
