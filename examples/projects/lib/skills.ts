import { parse as parseToml } from "smol-toml";
import { readText } from "../../../tasks/@lib/clone-files.ts";

type SkillKind = "language" | "library" | "tool";

interface Evidence {
  /** A path in the repository. */
  file: string;
  /** The line of the finding; null if the whole file is the evidence. */
  line: number | null;
  /** The text that was found. */
  found: string;
}

export interface Skill {
  kind: SkillKind;
  name: string;
  /** The number of places where it was found. */
  count: number;
  /** The first of these places. */
  evidence: Evidence[];
}

/** The maximum number of places that are stored per skill. The skill's count includes all places. */
const EVIDENCE_LIMIT = 5;

/** The maximum number of manifests that are read, and of skills that are kept. */
const MANIFEST_LIMIT = 200;
const SKILL_LIMIT = 2_000;

/** The longest name and the longest finding that are kept (characters). */
const TEXT_LIMIT = 200;

/** Languages by file extension. Extensions that several languages share are left out. */
const LANGUAGES: Record<string, readonly string[]> = {
  C: ["c"],
  "C#": ["cs"],
  "C++": ["cc", "cpp", "cxx", "hpp"],
  CSS: ["css", "scss", "less"],
  Clojure: ["clj", "cljs", "cljc"],
  Dart: ["dart"],
  Elixir: ["ex", "exs"],
  Erlang: ["erl", "hrl"],
  "F#": ["fs", "fsx"],
  Go: ["go"],
  GraphQL: ["graphql", "gql"],
  HCL: ["tf", "hcl"],
  HTML: ["html", "htm"],
  Haskell: ["hs"],
  Java: ["java"],
  JavaScript: ["js", "mjs", "cjs", "jsx"],
  Julia: ["jl"],
  Kotlin: ["kt", "kts"],
  Lua: ["lua"],
  OCaml: ["ml", "mli"],
  PHP: ["php"],
  Python: ["py", "pyi"],
  R: ["r"],
  Ruby: ["rb"],
  Rust: ["rs"],
  SQL: ["sql"],
  Scala: ["scala"],
  Shell: ["sh", "bash", "zsh"],
  Svelte: ["svelte"],
  Swift: ["swift"],
  TypeScript: ["ts", "mts", "cts", "tsx"],
  Vue: ["vue"],
  Zig: ["zig"],
};

const LANGUAGE_OF = new Map(Object.entries(LANGUAGES).flatMap(([name, endings]) => endings.map((ending) => [ending, name])));

interface Manifest {
  /** The tool that reads the file. */
  tool: string;
  pattern: RegExp;
  /** Returns the libraries that the file names. Throws if the text cannot be parsed. */
  libraries?: (text: string) => string[];
}

const MANIFESTS: readonly Manifest[] = [
  { tool: "npm", pattern: /(^|\/)package\.json$/, libraries: fromPackageJson },
  { tool: "Cargo", pattern: /(^|\/)Cargo\.toml$/, libraries: fromCargo },
  { tool: "Go modules", pattern: /(^|\/)go\.mod$/, libraries: fromGoMod },
  { tool: "pip", pattern: /(^|\/)requirements[\w.-]*\.txt$/, libraries: fromRequirements },
  { tool: "Python packaging", pattern: /(^|\/)pyproject\.toml$/, libraries: fromPyproject },
  { tool: "Composer", pattern: /(^|\/)composer\.json$/, libraries: fromComposer },
  { tool: "Bundler", pattern: /(^|\/)Gemfile$/, libraries: fromGemfile },
  { tool: "Maven", pattern: /(^|\/)pom\.xml$/ },
  { tool: "Gradle", pattern: /(^|\/)build\.gradle(\.kts)?$/ },
  { tool: "Docker", pattern: /(^|\/)(Dockerfile([.-][\w.-]+)?|[\w-]+\.dockerfile)$/i },
  { tool: "Docker Compose", pattern: /(^|\/)(docker-)?compose([.-][\w-]+)?\.ya?ml$/ },
  { tool: "GitHub Actions", pattern: /^\.github\/workflows\/[^/]+\.ya?ml$/ },
  { tool: "GitLab CI", pattern: /^\.gitlab-ci\.yml$/ },
  { tool: "Helm", pattern: /(^|\/)Chart\.yaml$/ },
  { tool: "Terraform", pattern: /\.tf$/ },
  { tool: "Make", pattern: /(^|\/)(GNUm|M|m)akefile$/ },
];

/**
 * Returns the technologies of a repository with evidence: languages by their files, libraries by the manifests that require
 * them, tools by the files that they read. Unreadable manifests are reported to `onUnreadable` and count only for their tool.
 */
export async function extractSkills(
  directory: string,
  files: readonly string[],
  signal: AbortSignal,
  onUnreadable: (file: string, reason: string) => void,
): Promise<Skill[]> {
  const skills = new Map<string, Skill>();
  const add = (kind: SkillKind, name: string, evidence: Evidence): void => {
    const key = `${kind} ${storable(name)}`;
    const skill = skills.get(key) ?? { kind, name: storable(name), count: 0, evidence: [] };
    skill.count += 1;
    if (skill.evidence.length < EVIDENCE_LIMIT) skill.evidence.push({ ...evidence, found: storable(evidence.found) });
    if (skill.name !== "" && skills.size < SKILL_LIMIT) skills.set(key, skill);
  };
  for (const file of files) {
    const ending = /\.([^./]+)$/.exec(file)?.[1]?.toLowerCase();
    const language = ending === undefined ? undefined : LANGUAGE_OF.get(ending);
    if (language !== undefined) add("language", language, { file, line: null, found: `.${ending}` });
  }
  let read = 0;
  for (const file of files) {
    const manifest = MANIFESTS.find(({ pattern }) => pattern.test(file));
    if (manifest === undefined) continue;
    signal.throwIfAborted();
    add("tool", manifest.tool, { file, line: null, found: file.split("/").at(-1) ?? file });
    if (manifest.libraries === undefined || read >= MANIFEST_LIMIT) continue;
    read += 1;
    const text = await readText(directory, file);
    if (text === undefined) {
      onUnreadable(file, "it is too large or cannot be opened");
      continue;
    }
    try {
      const lines = text.split("\n");
      for (const name of [...new Set(manifest.libraries(text))].slice(0, SKILL_LIMIT)) {
        const index = lines.findIndex((line) => mentions(line, name));
        add("library", name, { file, line: index < 0 ? null : index + 1, found: lines[index]?.trim() ?? name });
      }
    } catch (error) {
      onUnreadable(file, error instanceof Error ? error.message : String(error));
    }
  }
  return [...skills.values()];
}

function storable(text: string): string {
  return text.slice(0, TEXT_LIMIT).toWellFormed().replaceAll("\0", "");
}

/** Whether a line names a library as a whole word: `react` is not in `"react-dom"`. */
function mentions(line: string, name: string): boolean {
  for (let at = line.indexOf(name); at >= 0; at = line.indexOf(name, at + 1)) {
    if (!/[\w@/.-]/.test(line[at - 1] ?? " ") && !/[\w/-]/.test(line[at + name.length] ?? " ")) return true;
  }
  return false;
}

type Table = Record<string, unknown>;

/** Returns the table at a path of a manifest, or an empty table if the path does not lead to one. */
function table(root: unknown, ...path: string[]): Table {
  let value = root;
  for (const key of path) value = isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return isTable(value) ? value : {};
}

function isTable(value: unknown): value is Table {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

function fromPackageJson(text: string): string[] {
  const manifest: unknown = JSON.parse(text);
  const kinds = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];
  return kinds.flatMap((kind) => Object.keys(table(manifest, kind)));
}

function fromComposer(text: string): string[] {
  const manifest: unknown = JSON.parse(text);
  const names = ["require", "require-dev"].flatMap((kind) => Object.keys(table(manifest, kind)));
  return names.filter((name) => name.includes("/")); // The other names are PHP itself and its extensions.
}

function fromCargo(text: string): string[] {
  const manifest = parseToml(text);
  const kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
  const targets = Object.values(table(manifest, "target"));
  return [manifest, table(manifest, "workspace"), ...targets].flatMap((root) =>
    kinds.flatMap((kind) => Object.keys(table(root, kind))),
  );
}

function fromPyproject(text: string): string[] {
  const manifest = parseToml(text);
  const requirements = [
    table(manifest, "project").dependencies,
    ...Object.values(table(manifest, "project", "optional-dependencies")),
    ...Object.values(table(manifest, "dependency-groups")),
  ].flatMap(strings);
  const poetry = table(manifest, "tool", "poetry");
  const groups = Object.values(table(poetry, "group"));
  const kinds = ["dependencies", "dev-dependencies"];
  const named = [poetry, ...groups].flatMap((root) => kinds.flatMap((kind) => Object.keys(table(root, kind))));
  return [...requirements.flatMap(requirementName), ...named.filter((name) => name !== "python")];
}

function fromRequirements(text: string): string[] {
  return text.split("\n").flatMap(requirementName);
}

/** Returns the name of a PEP 508 requirement; empty for an option, a comment or a URL. */
function requirementName(line: string): string[] {
  const name = /^\s*([a-z0-9](?:[\w.-]*[a-z0-9])?)\s*(?:$|[[(<>=!~;@#,])/i.exec(line)?.[1];
  return name === undefined ? [] : [name];
}

/** Returns direct requirements only. A module file has one per line, alone or in a block. */
function fromGoMod(text: string): string[] {
  const names: string[] = [];
  let inBlock = false;
  for (const line of text.split("\n").map((entry) => entry.trim())) {
    if (inBlock && line === ")") inBlock = false;
    else if (/^require\s*\($/.test(line)) inBlock = true;
    else if (!line.endsWith("// indirect")) {
      const name = (inBlock ? /^(\S+)\s+v\S/ : /^require\s+(\S+)\s+v\S/).exec(line)?.[1];
      if (name !== undefined) names.push(name);
    }
  }
  return names;
}

function fromGemfile(text: string): string[] {
  return text.split("\n").flatMap((line) => /^\s*gem\s+["']([^"']+)["']/.exec(line)?.[1] ?? []);
}
