import { isUtf8 } from "node:buffer";
import { existsSync } from "node:fs";
import { type FileHandle, open, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Node, parseTree } from "jsonc-parser";
import { jsonErrorPlace } from "#common/json/json-error-place.ts";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { readBytes } from "./script-file.ts";

/**
 * Milliseconds that no command takes to write its temporary file. An older one was left by a command that was
 * killed.
 */
const LONGEST_WRITE_MS = 60_000;

/** Memory values by category and key. Each value stays JSON text, so that numbers keep their digits. */
type Memory = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Reads a file of script memory as JSON text. Undefined when `mayBeMissing` is set and there is no such file.
 * Throws a ConfigError that names the file when its text is not valid as a request's `memory`.
 */
export async function readMemoryFile(
  path: string,
  { mayBeMissing }: { readonly mayBeMissing: boolean },
): Promise<string | undefined> {
  if (mayBeMissing && !existsSync(path)) return undefined;
  const bytes = await readBytes(path);
  // An encoding other than UTF-8 is refused, because values would arrive changed at the script and be saved
  // changed.
  if (!isUtf8(bytes)) {
    throw new ConfigError([
      `${path} is not encoded as UTF-8. Convert it first, such as with: iconv -f latin1 -t utf-8.`,
    ]);
  }
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") throw new ConfigError([`${path} is empty; a memory is JSON such as ${EXAMPLE}.`]);
  const place = jsonErrorPlace(text);
  if (place !== undefined) throw new ConfigError([`${path} is not valid JSON: ${place}.`]);
  if (!memoryIn(text)) {
    throw new ConfigError([`${path} contains no memory; it must be JSON such as ${EXAMPLE}.`]);
  }
  return text;
}

/**
 * Writes the memory in `text`, with `updates` merged over it, to `path`. After any crash the file has either
 * the old or the new content, complete.
 */
export async function saveMemoryFile(path: string, text: string, updates: string): Promise<void> {
  await replaceFile(path, mergedMemory(text, updates)).catch((error: unknown) => {
    throw new ConfigError([
      `${path} cannot be written: ${systemReason(error)}. The updates were: ${updates}`,
    ]);
  });
}

/**
 * Writes a temporary file beside the target and renames it to the target. When `path` is a symbolic link, the
 * link stays and the file that it leads to is replaced.
 */
async function replaceFile(path: string, text: string): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  if (known && !known.isFile()) return await writeFile(path, text);
  const target = known ? await realpath(path) : path;
  await removeLeftovers(target).catch(() => undefined);
  const beside = `${target}.${process.pid}.new`;
  let file: FileHandle | undefined;
  try {
    file = await open(beside, "wx", 0o666);
    if (known) await file.chmod(known.mode & 0o7777);
    await file.writeFile(text);
    await file.sync();
    await file.close();
    await rename(beside, target);
  } catch (error) {
    await file?.close().catch(() => undefined);
    if (file) await rm(beside, { force: true });
    throw error;
  }
}

/**
 * Removes temporary files that earlier commands left beside the target, because they were killed while they
 * wrote.
 */
async function removeLeftovers(target: string): Promise<void> {
  const [directory, prefix] = [dirname(target), `${basename(target)}.`];
  for (const name of await readdir(directory)) {
    const pid = name.startsWith(prefix) ? /^(\d+)\.new$/.exec(name.slice(prefix.length))?.[1] : undefined;
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(directory, name);
    // Another machine may share the directory, and its processes do not appear here as alive. So a file
    // younger than LONGEST_WRITE_MS is kept, because a command there may still write it.
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > LONGEST_WRITE_MS) await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Merges two JSON texts of script memory ({category: {key: value}}); the values of `updates` win. */
export function mergedMemory(text: string, updates: string): string {
  const merged = new Map(
    [...(memoryIn(text) ?? [])].map(([category, values]) => [category, new Map(values)]),
  );
  for (const [category, values] of memoryIn(updates) ?? []) {
    merged.set(category, new Map([...(merged.get(category) ?? []), ...values]));
  }
  const categories = [...merged].map(([category, values]) => {
    const members = [...values].map(([key, value]) => `    ${JSON.stringify(key)}: ${value}`);
    return `  ${JSON.stringify(category)}: {\n${members.join(",\n")}\n  }`;
  });
  return `{\n${categories.join(",\n")}\n}\n`;
}

const EXAMPLE = '{"customers": {"last": 42}}';

/** Parses JSON text of script memory; undefined when it is not an object of objects. */
function memoryIn(text: string): Memory | undefined {
  const root = parseTree(text);
  if (root?.type !== "object") return undefined;
  const categories = membersOf(root);
  if (categories.some(([, value]) => value.type !== "object")) return undefined;
  const textOf = ({ offset, length }: Node) => text.slice(offset, offset + length);
  return new Map(
    categories.map(([category, values]) => [
      category,
      new Map(membersOf(values).map(([key, value]) => [key, textOf(value)])),
    ]),
  );
}

function membersOf(object: Node): [string, Node][] {
  return (object.children ?? []).flatMap(({ children: [key, value] = [] }) =>
    key && value ? [[String(key.value), value]] : [],
  );
}
