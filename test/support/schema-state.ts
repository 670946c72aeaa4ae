import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import type pg from "pg";

/** The grants of an object as sorted lines. Default grants count as granted, as in pg_dump. */
const grants = (acl: string, kind: string, owner: string): string => `(
  select coalesce(string_agg(format('%s=%s%s by %s', a.grantee::regrole, a.privilege_type, case when a.is_grantable then '*' else '' end, a.grantor::regrole), ' ' order by a.grantee, a.privilege_type, a.grantor), '')
  from aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) a)`;

const OURS = "nspname !~ '^pg_' and nspname <> 'information_schema'";

/** Queries of (name, state): everything that `pg_dump --schema-only` writes, with comments, settings and owners. */
const CATALOGS: Record<string, string> = {
  schemas: `select nspname, concat_ws(' | ', nspowner::regrole, ${grants("nspacl", "n", "nspowner")}) from pg_namespace where ${OURS}`,
  relations: `
    select format('%s %s.%s', c.relkind, nspname, c.relname), concat_ws(' | ', c.relowner::regrole, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
      c.relreplident, c.reloptions, c.reltablespace, am.amname, c.relispartition, pg_get_expr(c.relpartbound, c.oid),
      ${grants("c.relacl", "r", "c.relowner")}, case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am am on am.oid = c.relam where ${OURS} and c.relkind not in ('i', 'I', 'S', 't')`,
  sequences: `
    select format('%s.%s', nspname, c.relname), concat_ws(' | ', c.relowner::regrole, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
      ${grants("c.relacl", "s", "c.relowner")})
    from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace where ${OURS}`,
  columns: `
    select format('%s.%s.%s', nspname, c.relname, a.attname), concat_ws(' | ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
      pg_get_expr(d.adbin, d.adrelid), a.attstattarget, a.attstorage, a.attcompression, a.attoptions, a.attacl)
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where ${OURS} and a.attnum > 0 and not a.attisdropped and c.relkind not in ('i', 'I', 't')`,
  indexes: `
    select format('%s.%s', nspname, c.relname), concat_ws(' | ', pg_get_indexdef(c.oid), i.indisclustered, i.indisreplident, i.indisvalid, c.reloptions, c.reltablespace)
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace where ${OURS}`,
  constraints: `
    select format('%s.%s.%s', nspname, conrelid::regclass, conname), pg_get_constraintdef(k.oid) from pg_constraint k join pg_namespace n on n.oid = k.connamespace where ${OURS}`,
  triggers: `
    select format('%s.%s', tgrelid::regclass, tgname), concat_ws(' | ', pg_get_triggerdef(t.oid), tgenabled)
    from pg_trigger t where not tgisinternal`,
  rules: `
    select format('%s.%s', ev_class::regclass, rulename), concat_ws(' | ', pg_get_ruledef(r.oid), ev_enabled)
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace where ${OURS}`,
  policies: `
    select format('%s.%s', polrelid::regclass, polname), concat_ws(' | ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy`,
  functions: `
    select p.oid::regprocedure::text, concat_ws(' | ', p.proowner::regrole, ${grants("p.proacl", "f", "p.proowner")}, case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OURS}`,
  types: `
    select format('%s.%s', nspname, t.typname), concat_ws(' | ', t.typtype, t.typowner::regrole, ${grants("t.typacl", "T", "t.typowner")},
      (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum e where e.enumtypid = t.oid), format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace where ${OURS}`,
  comments: "select pg_describe_object(classoid, objoid, objsubid), description from pg_description where objoid >= 16384",
  defaults:
    "select concat_ws(' | ', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype), defaclacl::text from pg_default_acl",
  statistics: "select stxname::text, pg_get_statisticsobjdef(oid) from pg_statistic_ext",
  eventTriggers: "select evtname::text, concat_ws(' | ', evtevent, evtfoid::regproc, evtenabled, evttags) from pg_event_trigger",
  extensions: "select extname::text, extversion from pg_extension",
  publications: "select pubname::text, concat_ws(' | ', puballtables, pubinsert, pubupdate, pubdelete) from pg_publication",
  settings:
    "select coalesce(setrole::regrole::text, ''), setconfig::text from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())",
};

/** Everything in the database except its rows, one line per object. */
export async function schemaState(client: Pick<pg.Pool, "query">): Promise<string[]> {
  const lines: string[] = [];
  for (const [catalog, query] of Object.entries(CATALOGS)) {
    const { rows } = await client.query<{ name: string; state: string }>(
      `select * from (${query}) x (name, state) order by 1, 2`,
    );
    lines.push(...rows.map(({ name, state }) => `${catalog}: ${name}: ${state}`));
  }
  return lines;
}

/** The output of the pg_dump with the server's version, or null if that program is not installed. */
export async function schemaDump(databaseUrl: string, major: number): Promise<string | null> {
  const program = `/usr/lib/postgresql/${major}/bin/pg_dump`;
  if (!existsSync(program)) return null;
  const { stdout } = await promisify(execFile)(program, ["--schema-only", databaseUrl], { maxBuffer: 64 << 20 });
  // pg_dump protects its output against injected commands with a random key, which is different each time.
  return stdout.replaceAll(/^\\(un)?restrict .*\n/gm, "");
}
