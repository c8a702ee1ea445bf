import { type Dirent, readdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const OTHERS_MAY_ENTER = 0o001;

/**
 * Shell commands for root in a mount namespace of its own, after which every user can reach these directories where they
 * are: a checkout or an interpreter may lie in one that is its owner's only. A tmpfs covers that one there, and has
 * nothing in it but the way to them. `aside` is an empty directory.
 */
export function openDoorsScript(directories: readonly string[], aside: string): string {
  const wanted = directories.flatMap((directory) => {
    const door = closedDoor(directory);
    return door === undefined ? [] : { directory, door };
  });
  const doors = [...new Set(wanted.map(({ door }) => door))];
  const places = wanted.flatMap(({ directory, door }) =>
    directory === door ? entriesOf(directory) : { path: directory, kind: "directory" as const },
  );
  const commands = [
    `mount -t tmpfs -o mode=755 tmpfs ${quoted(aside)}`,
    ...places.flatMap((place, number) => bind(place, place.path, join(aside, String(number)))),
    ...doors.map((door) => `mount -t tmpfs -o mode=755 tmpfs ${quoted(door)}`),
    ...places.flatMap((place, number) => bind(place, join(aside, String(number)), place.path)),
  ];
  return doors.length === 0 ? "" : commands.join("\n");
}

type Place = { readonly path: string; readonly kind: "directory" | "file" | "link" };

/** The first directory on the way that others may not enter. */
function closedDoor(directory: string): string | undefined {
  const above = dirname(directory);
  const door = above === directory ? undefined : closedDoor(above);
  return door ?? ((statSync(directory).mode & OTHERS_MAY_ENTER) === 0 ? directory : undefined);
}

function entriesOf(directory: string): Place[] {
  return readdirSync(directory, { withFileTypes: true }).map((entry) => ({
    path: join(directory, entry.name),
    kind: kindOf(entry),
  }));
}

function kindOf(entry: Dirent): Place["kind"] {
  if (entry.isSymbolicLink()) return "link";
  return entry.isDirectory() ? "directory" : "file";
}

function bind({ path, kind }: Place, from: string, to: string): string[] {
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
