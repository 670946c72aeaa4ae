import { mkdir, readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { EMBEDDED_PACKAGES, GRAPHQL_PACKAGES, installCommand, SERVER_PACKAGES } from "../src/optional-packages.ts";
import { legwork } from "./support/cli.ts";
import { directoryOf } from "./support/worker.ts";

const read = (path: string): Promise<string> => readFile(new URL(`../${path}`, import.meta.url), "utf8");
const manifest = JSON.parse(await read("package.json")) as {
  version: string;
  files: string[];
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  engines: { node: string };
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
};
const groups: readonly string[] = [...SERVER_PACKAGES, ...GRAPHQL_PACKAGES, ...EMBEDDED_PACKAGES];
const named = (packages: readonly string[]): string =>
  packages.map((name) => `${name}@${manifest.devDependencies[name]}`).join(" ");

it("packages that are installed separately are optional peer dependencies of any version, and are installed in the checkout", () => {
  const optional = [...groups, "web-push"].toSorted();
  expect(Object.keys(manifest.peerDependencies).toSorted()).toEqual(optional);
  expect(manifest.peerDependenciesMeta).toEqual(Object.fromEntries(optional.map((name) => [name, { optional: true }])));
  // A range would prevent a project with another version from installing Legwork.
  expect(new Set(Object.values(manifest.peerDependencies))).toEqual(new Set(["*"]));
  for (const name of optional) {
    expect(manifest.dependencies).not.toHaveProperty([name]);
    expect(manifest.devDependencies).toHaveProperty([name], expect.stringMatching(/^\d/));
  }
});

it("package.json, the command and the pages name the same minimum Node version", async () => {
  const [, major = "", minor = ""] = /MINIMUM = \[(\d+), (\d+)\]/.exec(await read("src/node-version.ts")) ?? [];
  expect(manifest.engines.node).toBe(`>=${major}.${minor}`);
  expect(await read("bin/legwork.js")).toContain(`major < ${major} || (major === ${major} && minor < ${minor})`);
  for (const page of ["README.md", "docs/guides/start.md", "docs/guides/typescript.md"]) {
    expect(await read(page)).toMatch(new RegExp(`\\b${major}\\.${minor} or newer`));
  }
  const graphileWorker = JSON.parse(await read("node_modules/graphile-worker/package.json")) as typeof manifest;
  expect(graphileWorker.engines.node).toBe(">=22.18.0");
});

/** A project with these files, which has Legwork in its node_modules. */
async function project(files: Record<string, string>): Promise<{ directory: string; root: string }> {
  const directory = await directoryOf({ "package.json": "{}", ...files });
  const root = `${directory}/node_modules/legwork`;
  await mkdir(root, { recursive: true });
  return { directory, root };
}

it("links of published pages lead to published files", async () => {
  const published = (path: string): boolean =>
    manifest.files.some((pattern) => path === pattern || path.startsWith(`${pattern}/`)) ||
    ["README.md", "LICENSE", "package.json"].includes(path);
  const docs = await readdir(new URL("../docs", import.meta.url), { recursive: true });
  const named = manifest.files.filter((path) => path.endsWith(".md"));
  const isPage = (name: string): boolean => /^(?:guides|reference)\/.+\.md$/.test(name);
  const pages = ["README.md", ...named, ...docs.filter(isPage).map((name) => `docs/${name}`)];
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target = ""] of (await read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      if (!published(new URL(target, `file:///${page}`).pathname.slice(1))) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

it.each([
  ["package-lock.json", undefined, "npm install"],
  ["pnpm-lock.yaml", undefined, "pnpm add"],
  ["yarn.lock", undefined, "yarn add"],
  ["bun.lock", undefined, "bun add"],
  ["pnpm-lock.yaml", "npm/11.0.0 node/v24.0.0", "pnpm add"],
  ["other.txt", "yarn/4.0.0 npm/? node/v24.0.0", "yarn add"],
  ["other.txt", "unheard-of/1.0", "npm install"],
])("the install command with %s and the user agent %s is %s", async (lockFile, userAgent, add) => {
  const { directory, root } = await project({
    [lockFile]: "",
    "node_modules/legwork/package.json": '{ "name": "legwork" }',
  });
  expect(installCommand(groups, { directory, root, userAgent: userAgent ?? "" })).toBe(`${add} ${named(groups)}`);
});

it("the install command includes Legwork if the project does not have it, because npx runs it", async () => {
  const { directory } = await project({ "package-lock.json": "" });
  const { root } = await project({ "node_modules/legwork/package.json": '{ "name": "legwork" }' });
  expect(installCommand(["ws"], { directory, root })).toBe(`npm install legwork@${manifest.version} ${named(["ws"])}`);
});

it("the install command has --global for a global Legwork, and is `npm ci` in a checkout", async () => {
  const directory = await directoryOf({});
  const root = `${directory}/lib/node_modules/legwork`;
  await mkdir(root, { recursive: true });
  expect(installCommand(["ws"], { directory, root })).toBe(`npm install --global ${named(["ws"])}`);
  expect(installCommand(["ws"])).toBe("npm ci");
});

it("`legwork install` installs what is missing, which is nothing in a checkout, and names its parts", async () => {
  expect(await legwork(["install"])).toMatchObject({ code: 0, stdout: "Nothing to install.\n", stderr: "" });
  expect(await legwork(["install", "graphql"])).toMatchObject({ code: 2, stderr: expect.stringContaining("server, postgres") });
});
