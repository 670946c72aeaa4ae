import type { Queryable } from "../../src/db/pool.ts";
import { code, fenced, prose, sentence, table } from "./markdown.ts";

interface View {
  readonly name: string;
  readonly comment: string;
  readonly columns: readonly { name: string; type: string; comment: string | null }[];
}

interface SqlFunction {
  readonly name: string;
  readonly signature: string;
  readonly result: string;
  readonly comment: string;
}

/** Describes the views, tables and functions of schema legwork with their comments, from the catalog of a migrated database. */
export async function sql(client: Queryable): Promise<{ views: string; functions: string }> {
  const { rows: views } = await client.query(
    `select c.relname as name, obj_description(c.oid, 'pg_class') as comment,
       (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'comment', col_description(c.oid, a.attnum)) order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
     from pg_class c where c.relnamespace = 'legwork'::regnamespace and c.relkind in ('v', 'r', 'p', 'm')
     order by c.relname collate "C"`,
  );
  const { rows: functions } = await client.query(
    `select p.proname as name, pg_get_function_arguments(p.oid) as signature, pg_get_function_result(p.oid) as result,
       obj_description(p.oid, 'pg_proc') as comment
     from pg_proc p where p.pronamespace = 'legwork'::regnamespace and p.prorettype <> 'trigger'::regtype
     order by p.proname collate "C", pg_get_function_arguments(p.oid) collate "C"`,
  );
  return {
    views: (views as unknown as View[]).map(view).join("\n\n"),
    functions: (functions as unknown as SqlFunction[]).map(routine).join("\n\n"),
  };
}

function view({ name, comment, columns }: View): string {
  const hasComments = columns.some((column) => column.comment !== null);
  const list = hasComments
    ? table(
        ["column", "type", "meaning"],
        columns.map(({ name, type, comment }) => [code(name), code(typeName(type)), prose(withoutTags(comment ?? ""))]),
      )
    : `Columns: ${columns.map((column) => code(column.name)).join(", ")}.`;
  return `### legwork.${name}\n\n${comments(comment)}\n\n${list}`;
}

/** Replaces a type's name by its usual short form. */
const typeName = (type: string): string => type.replaceAll("timestamp with time zone", "timestamptz");

/** Returns a comment without the lines that are only for PostGraphile. */
const withoutTags = (comment: string): string => comment.replaceAll(/^@.*\n?/gm, "");

function routine({ name, signature, result, comment }: SqlFunction): string {
  const parameters = typeName(signature)
    .replaceAll(/::(?:text\[\]|text|interval|jsonb|json|integer|bigint|boolean|timestamptz|regclass)/g, "")
    .replaceAll(/\b(?:DEFAULT|VARIADIC|NULL|SESSION_USER|CURRENT_USER)\b/g, (word) => word.toLowerCase());
  const returned = typeName(result).replaceAll(/\b(?:SETOF|TABLE)\b/g, (word) => word.toLowerCase());
  const one = `legwork.${name}(${parameters}) → ${returned}`;
  const several = `legwork.${name}(\n  ${split(parameters).join(",\n  ")}\n) → ${returned}`;
  return `### ${name}\n\n${comments(comment)}\n\n${fenced("text", one.length > 120 ? several : one)}`;
}

/** Splits parameters at the commas that are not within parentheses or quotes. */
function split(parameters: string): string[] {
  return parameters.match(/(?:[^,('"]|\([^)]*\)|'[^']*'|"[^"]*")+/g)?.map((each) => each.trim()) ?? [parameters];
}

/** Converts a comment to Markdown paragraphs. Statements become code blocks. */
function comments(comment: string | null): string {
  if (comment === null) return "";
  return withoutTags(comment)
    .split(/\n{2,}/)
    .map((paragraph) => {
      const text = paragraph.trim();
      return /^(?:select|update|insert|begin)\b/.test(text)
        ? fenced("sql", text.endsWith(";") ? text : `${text};`)
        : prose(sentence(text.replaceAll(/\s*\n\s*/g, " ")));
    })
    .join("\n\n");
}
