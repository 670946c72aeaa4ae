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

/** Whether an OpenTelemetry SDK is registered. Without one, nothing else in this file is called. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer("legwork") !== undefined;
}

function tracer(): Tracer {
  return trace.getTracer("legwork");
}

/** The attributes that OpenTelemetry's messaging conventions define for both senders and processors. */
function attributesOf(task: string, operation: "send" | "process"): Record<string, string> {
  return {
    "messaging.system": "legwork",
    "messaging.destination.name": task,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}

/** Returns the traceparent that a job carries; undefined for a span without a valid context. */
function traceparentOf(span: Span): string | undefined {
  const spanContext = span.spanContext();
  if (!trace.isSpanContextValid(spanContext)) return undefined;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Returns the context in which a job's attempt runs: a child of the span that enqueued the job. An invalid traceparent is ignored. */
function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  const base = context.active();
  if (traceId === undefined || spanId === undefined || flags === undefined) return base;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return trace.setSpanContext(base, { traceId, spanId, traceFlags, isRemote: true });
}

/**
 * Enqueues within a new span, a child of the active span, and passes `send` the traceparent for the job. Without a registered SDK, it only calls
 * `send`.
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

  /** The traceparent for jobs that the attempt enqueues; undefined if the SDK does not record the span. */
  get traceparent(): string | undefined {
    return traceparentOf(this.#span);
  }

  /** Calls `work` with this span as the active one, even in its asynchronous parts. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return context.with(this.#context, work);
  }

  /** Ends the span. outcome: completed, failed, put_back or given_back. Only `failed` counts as an error. */
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
