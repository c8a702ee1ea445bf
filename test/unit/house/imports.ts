import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** A file, by its path from the top, and a file that it imports. */
export type Import = { readonly from: string; readonly to: string };

const ALIASES = {
  "#common/": "services/common/",
  "#proto/": "proto/gen/airlock/v1/",
  "#sdk/": "sdk/typescript/src/",
} as const;

/** Every import of a file of the repository by another one below `folders`, types included; packages are left out. */
export function importsOfTypeScript(root: string, folders: readonly string[]): Import[] {
  const exclude = ["**/node_modules/**"];
  const files = folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root, exclude }));
  return files.flatMap((from) =>
    [...readFileSync(join(root, from), "utf8").matchAll(/(?:\bfrom|\bimport|import\()\s*"([^"]+)"/g)]
      .map(([, specifier = ""]) => pathOf(from, specifier))
      .filter((to) => to !== undefined && existsSync(join(root, to)))
      .map((to) => ({ from, to: to as string })),
  );
}

function pathOf(from: string, specifier: string): string | undefined {
  for (const [alias, folder] of Object.entries(ALIASES))
    if (specifier.startsWith(alias)) return folder + specifier.slice(alias.length);
  return specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : undefined;
}

/** The same for the modules of a Python package, whose imports of its own modules are all relative. */
export function importsOfPython(root: string, packageFolder: string): Import[] {
  const files = globSync(`${packageFolder}/**/*.py`, { cwd: root });
  const moduleAt = (path: string) =>
    [`${path}.py`, `${path}/__init__.py`].find((each) => files.includes(each));
  return files.flatMap((from) => {
    const text = readFileSync(join(root, from), "utf8");
    return [...text.matchAll(/^\s*from (\.+)([\w.]*) import (\([^)]*\)|[^\n#]+)/gm)].flatMap(
      ([, dots = "", path = "", names = ""]) => {
        const base = normalize(join(dirname(from), "../".repeat(dots.length - 1), ...path.split(".")));
        const modules = names.split(/[(),\s]+/).map((name) => moduleAt(join(base, name)));
        const found = [...modules, moduleAt(base)].filter((each) => each !== undefined && each !== from);
        return found.map((to) => ({ from, to: to as string }));
      },
    );
  });
}

/** Sets of nodes that reach each other; none when the graph has no circle. */
export function circlesOf(edges: readonly Import[]): string[][] {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of edges) next.set(from, (next.get(from) ?? new Set()).add(to));
  const reached = new Map([...next.keys()].map((node) => [node, reachableFrom(node, next)]));
  const isInCircle = (node: string) => reached.get(node)?.has(node) === true;
  const circles = new Map<string, string[]>();
  for (const node of [...next.keys()].filter(isInCircle).sort()) {
    const circle = [...next.keys()]
      .filter((each) => reached.get(node)?.has(each) && reached.get(each)?.has(node))
      .sort();
    circles.set(circle.join(), circle);
  }
  return [...circles.values()];
}

function reachableFrom(start: string, next: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const reached = new Set<string>();
  const open = [...(next.get(start) ?? [])];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    open.push(...(next.get(node) ?? []));
  }
  return reached;
}

/** Imports between the folders directly below one folder, named by their paths. Files that lie in `folder` itself belong to none. */
export function betweenFolders(edges: readonly Import[]): Import[] {
  return edges.flatMap(({ from, to }) => {
    const [a, b] = [from.split("/").slice(0, -1), to.split("/").slice(0, -1)];
    const shared = a.findIndex((part, index) => part !== b[index]);
    const at = shared < 0 ? a.length : shared;
    if (at >= a.length || at >= b.length) return [];
    return [{ from: a.slice(0, at + 1).join("/"), to: b.slice(0, at + 1).join("/") }];
  });
}
