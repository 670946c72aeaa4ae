import type { PgSelectSingleStep, PgSelectStep } from "postgraphile/@dataplan/pg";
import { access, context, lambda } from "postgraphile/grafast";
import type { ConnectionStep, FieldArgs, Step } from "postgraphile/grafast";
import { inWordsOf } from "../../action.ts";
import { LegworkError } from "../../errors.ts";
import { REQUESTS } from "../request-wording.ts";
import { orderOf, roleFor } from "./schema.ts";
import { assertRole, type Principal, type Role } from "../../access/principal.ts";
import { assertPageSize, DEFAULT_PAGE, MAX_PAGE, refusal } from "./limits.ts";

declare global {
  namespace Grafast {
    interface Context {
      /** The client. */
      principal?: Principal;
    }
  }
}

/** Pages have 50 rows by default and at most 500, newest first, by cursor and never by offset. */
export const pagingPlugin: GraphileConfig.Plugin = {
  name: "LegworkPagingPlugin",
  version: "0.1.0",
  after: ["PgFirstLastBeforeAfterArgsPlugin", "PgConnectionArgOrderByDefaultValuePlugin", "PgOrderAllAttributesPlugin"],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const { plan } = field;
        if (scope.isPgSingleRelationField === true && plan !== undefined) {
          return { ...field, plan: (...parameters) => asOwnStatement(plan(...parameters)) };
        }
        if (scope.isPgFieldConnection !== true || plan === undefined) return field;
        const view = scope.pgFieldResource?.name ?? "";
        const order = orderOf(view, scope.fieldBehaviorScope === "query:resource:connection");
        return {
          ...field,
          plan($source, fieldArgs, info) {
            const $connection = plan($source, fieldArgs, info) as unknown as ConnectionStep<never>;
            limitPage($connection, fieldArgs, roleFor(view));
            if (order !== undefined) {
              const $select = $connection.getSubplan() as unknown as PgSelectStep;
              for (const attribute of order.by) $select.orderBy({ attribute, direction: order.direction });
              $select.setOrderIsUnique();
            }
            return $connection as never;
          },
        };
      },
      GraphQLObjectType_fields_field_args(args, _build, { scope }) {
        if (scope.isPgFieldConnection !== true) return args;
        const { offset: _, first, last, ...others } = args as Record<string, object>;
        return {
          first: {
            ...first,
            description: `Number of rows from the start: ${DEFAULT_PAGE} by default, at most ${MAX_PAGE}.`,
            applyPlan() {},
          },
          last: { ...last, description: `Number of rows from the end, at most ${MAX_PAGE}.`, applyPlan() {} },
          ...others,
        } as unknown as typeof args;
      },
      GraphQLEnumType_values(values, _build, { scope }) {
        if (scope.isPgRowSortEnum !== true) return values;
        const { NATURAL: _, ID_DESC, ...others } = values;
        // The first value is the default.
        return { ID_DESC, ...others } as typeof values;
      },
    },
  },
};

/** Prevents a join. A view has no keys, so the planner would expect many rows and sort the whole history for a page. */
export function asOwnStatement<Plan>($job: Plan): Plan {
  ($job as unknown as PgSelectSingleStep).getClassStep().setInliningForbidden();
  return $job;
}

function limitPage($connection: ConnectionStep<never>, fieldArgs: FieldArgs, needed: Role): void {
  const $principal = context().get("principal");
  const $sizes = lambda(
    [fieldArgs.getRaw("first"), fieldArgs.getRaw("last"), $principal] as Step[],
    ([first, last, principal]) => {
      assertMayRead(principal as Principal, needed);
      const page = { first: pageSize("first", first), last: pageSize("last", last) };
      return page.first === null && page.last === null ? { first: DEFAULT_PAGE, last: null } : page;
    },
    true,
  );
  $connection.setFirst(access($sizes, "first"));
  $connection.setLast(access($sizes, "last"));
}

/** Throws LW403 before anything is read: the page size is computed first, and calls this. */
function assertMayRead(principal: Principal, needed: Role): void {
  try {
    assertRole(principal, needed);
  } catch (error) {
    if (error instanceof LegworkError) throw refusal(error.code, error.message, inWordsOf(REQUESTS, error) ?? "");
    throw error;
  }
}

/** Checks a page size. `assertAffordable` has already checked most page sizes, but does not see every way of passing one. */
function pageSize(name: "first" | "last", value: unknown): number | null {
  if (value === null || value === undefined) return null;
  assertPageSize(name, value as number);
  return value as number;
}
