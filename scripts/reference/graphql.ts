import { code, prose, table } from "./markdown.ts";

interface TypeReference {
  readonly kind: string;
  readonly name: string | null;
  readonly ofType?: TypeReference | null;
}

interface Field {
  readonly name: string;
  readonly description: string | null;
  readonly type: TypeReference;
  readonly args: readonly { readonly name: string; readonly type: TypeReference }[];
}

interface Type {
  readonly kind: string;
  readonly name: string;
  readonly description: string | null;
  readonly fields: readonly Field[] | null;
}

export interface Introspection {
  readonly __schema: {
    readonly queryType: { readonly name: string };
    readonly subscriptionType: { readonly name: string } | null;
    readonly types: readonly Type[];
  };
}

const TYPE = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";

export const INTROSPECTION = `{ __schema { queryType { name } subscriptionType { name } types { kind name description
  fields { name description type { ${TYPE} } args { name type { ${TYPE} } } } } } }`;

/** Describes the root fields and every object type with its fields, from the server's schema. */
export function graphql({ __schema: { queryType, subscriptionType, types } }: Introspection): string {
  const named = new Map(types.map((type) => [type.name, type]));
  const roots = [queryType.name, ...(subscriptionType === null ? [] : [subscriptionType.name])];
  const objects = types
    .filter(({ kind, name }) => kind === "OBJECT" && !roots.includes(name) && !/^__|(?:Connection|Edge|PageInfo)$/.test(name))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return [
    ...roots.map((name) => `### ${name}\n\n${rootsOf(named.get(name)!)}`),
    ...objects.map((type) => `### ${type.name}\n\n${described(type)}${fieldsOf(type)}`),
  ].join("\n\n");
}

const described = ({ description }: Type): string => (description === null ? "" : `${text(description)}\n\n`);

/** PostGraphile's standard text for a list, which is shortened. */
const LIST = /^Reads and enables pagination through a set of (`\w+`)\.$/;

const text = (description: string | null): string =>
  prose((description ?? "").replaceAll(/\s*\n\s*/g, " ").replace(LIST, "Pages of $1."));

const rootsOf = ({ fields }: Type): string =>
  table(
    ["field", "arguments", "returns", "meaning"],
    (fields ?? []).map(({ name, args, type, description }) => [
      code(name),
      args.map((each) => code(each.name)).join(" "),
      code(spelled(type)),
      text(description),
    ]),
  );

const fieldsOf = ({ fields }: Type): string =>
  table(
    ["field", "type", "meaning"],
    (fields ?? []).map(({ name, type, description }) => [code(name), code(spelled(type)), text(description)]),
  );

function spelled({ kind, name, ofType }: TypeReference): string {
  if (ofType == null) return name ?? "";
  return kind === "NON_NULL" ? `${spelled(ofType)}!` : `[${spelled(ofType)}]`;
}
