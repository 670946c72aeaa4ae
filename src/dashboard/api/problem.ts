import type { Problem as ProblemBody } from "../../contract/problem.ts";
/** An invalid field of a request, as the server reports it. */
export type FieldProblem = NonNullable<ProblemBody["errors"]>[number];

/** An error as the server reports it: message, code, hint and invalid fields. */
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

/** Whether the error may be temporary: a retry may succeed, because the request itself was valid. */
export function isPassing(error: unknown): boolean {
  return error instanceof Problem && (error.status === 0 || error.status === 503 || error.status === 504);
}
