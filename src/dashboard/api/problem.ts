import type { Problem as ProblemBody } from "../../contract/problem.ts";
/** A field that the server found at fault. */
export type FieldProblem = NonNullable<ProblemBody["errors"]>[number];

/** What went wrong, in the server's words: what, its code, and what to do next. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: string;
  readonly hint: string | undefined;
  readonly status: number;
  readonly fields: readonly FieldProblem[];

  constructor(
    message: string,
    options: {
      code: string;
      status: number;
      hint?: string | undefined;
      fields?: readonly FieldProblem[] | undefined;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.status = options.status;
    this.hint = options.hint;
    this.fields = options.fields ?? [];
  }
}

/** Whether asking again may help: nothing was wrong with the question. */
export function isPassing(error: unknown): boolean {
  return error instanceof Problem && (error.status === 0 || error.status === 503 || error.status === 504);
}
