import { type Dirent, readdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const OTHERS_MAY_ENTER = 0o001;

/**
 * Shell commands after which every user can reach these directories under their paths, because a checkout or an
 * interpreter may lie in a directory that only its owner may enter. A tmpfs covers that directory and contains only
 * the path to them. The commands need root and a mount namespace of their own. `aside` is an empty directory.
 */
export function worldReadableScript(directories: readonly string[], aside: string): string {
  const wanted = directories.flatMap((directory) => {
    const closedAt = closedDirectory(directory);
    return closedAt === undefined ? [] : { directory, closedAt };
  });
  const closed = [...new Set(wanted.map(({ closedAt }) => closedAt))];
  const entries = wanted.flatMap(({ directory, closedAt }) =>
    directory === closedAt ? entriesOf(directory) : { path: directory, kind: "directory" as const },
  );
  const commands = [
    `mount -t tmpfs -o mode=755 tmpfs ${quoted(aside)}`,
    ...entries.flatMap((entry, number) => bind(entry, entry.path, join(aside, String(number)))),
    ...closed.map((closedAt) => `mount -t tmpfs -o mode=755 tmpfs ${quoted(closedAt)}`),
    ...entries.flatMap((entry, number) => bind(entry, join(aside, String(number)), entry.path)),
  ];
  return closed.length === 0 ? "" : commands.join("\n");
}

type Entry = { readonly path: string; readonly kind: "directory" | "file" | "link" };

/** The first directory of a path that other users may not enter. */
function closedDirectory(directory: string): string | undefined {
  const above = dirname(directory);
  const closedAt = above === directory ? undefined : closedDirectory(above);
  return closedAt ?? ((statSync(directory).mode & OTHERS_MAY_ENTER) === 0 ? directory : undefined);
}

function entriesOf(directory: string): Entry[] {
  return readdirSync(directory, { withFileTypes: true }).map((entry) => ({
    path: join(directory, entry.name),
    kind: kindOf(entry),
  }));
}

function kindOf(entry: Dirent): Entry["kind"] {
  if (entry.isSymbolicLink()) return "link";
  return entry.isDirectory() ? "directory" : "file";
}

function bind({ path, kind }: Entry, from: string, to: string): string[] {
  if (kind === "link") return [`ln -sfn ${quoted(readlinkSync(path))} ${quoted(to)}`];
  const make = kind === "directory" ? "mkdir -p" : "touch";
  return [
    `mkdir -p ${quoted(dirname(to))}`,
    `${make} ${quoted(to)}`,
    `mount --rbind ${quoted(from)} ${quoted(to)}`,
  ];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
