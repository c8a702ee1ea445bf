import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { A_DURATION, ConfigError, durationMsOf } from "#common/service/environment.ts";
import { parseFlags, usageError } from "../flags.ts";
import { logPathOf } from "../terminal/log-file.ts";
import { LOG_LEVELS, type LogFilter, readableLogLine } from "../terminal/log-lines.ts";

const POLL_MS = 200;

/** `./airlock logs` prints one readable line per event. */
export async function logs(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("logs", args, {
    follow: { type: "boolean", short: "f", default: false },
    level: { type: "string", default: "trace" },
    project: { type: "string" },
    tail: { type: "string" },
    since: { type: "string" },
    stack: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    data: { type: "string" },
  });
  if (positionals.length > 1) throw usageError("logs", "logs takes one execution id at most.");
  const minLevel = LOG_LEVELS.get(values.level);
  if (minLevel === undefined) {
    throw usageError(
      "logs",
      `--level must be one of ${[...LOG_LEVELS.keys()].join(", ")}, not "${values.level}".`,
    );
  }
  const { project, stack, json } = values;
  const [executionId] = positionals;
  const sinceMs = sinceOf(values.since, Date.now());
  const last = lastLines(tailOf(values.tail));
  const filter: LogFilter = { minLevel, executionId, project, stack, json, sinceMs };
  const data =
    values.data || process.env.AIRLOCK_DATA_DIR || join(import.meta.dirname, "..", "..", ".airlock");
  const path = logPathOf(resolve(data));
  const first = await identityOf(path);
  if (!first && !values.follow)
    throw new ConfigError([`There is no log at ${path} yet; ./airlock up writes it.`]);

  const earlier = (await rotatedBefore(path)).map((each) => () => printFrom(each, 0, collect));
  const collect = (line: string) => {
    const readable = readableLogLine(line, filter);
    if (readable !== undefined) last.add(readable);
  };
  for (const print of earlier) await print();
  const position = first ? await printFrom(path, 0, collect) : 0;
  const count = last.end();
  if (process.env.AIRLOCK_URL && values.data === undefined) {
    process.stderr.write(
      `(These are the lines of ${path}. AIRLOCK_URL is not asked for its log: under Compose use docker compose logs.)\n`,
    );
  }
  if (count === 0 && !values.follow) process.stderr.write(`${nothingFound(filter)}\n`);
  if (!values.follow) return 0;
  return await follow(path, first?.ino, position, (line) => {
    const readable = readableLogLine(line, filter);
    if (readable !== undefined) process.stdout.write(`${readable}\n`);
  });
}

/**
 * Prints the lines that are added: without `tail` each at once, otherwise only the last `tail` lines, when
 * `end` is called.
 */
function lastLines(tail: number | undefined) {
  const kept: string[] = [];
  let count = 0;
  return {
    add(line: string) {
      count++;
      if (tail === undefined) process.stdout.write(`${line}\n`);
      else {
        kept.push(line);
        if (kept.length > tail) kept.shift();
      }
    },
    /** Prints the kept lines and returns the number of all lines that were added. */
    end(): number {
      for (const line of kept) process.stdout.write(`${line}\n`);
      return count;
    },
  };
}

function tailOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError("logs", `--tail must be a whole number, not "${text}".`);
}

function sinceOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  const agoMs = durationMsOf(text);
  if (agoMs === undefined) throw new ConfigError([`--since must be ${A_DURATION}, not "${text}"`]);
  return nowMs - agoMs;
}

function nothingFound({ executionId, project, sinceMs, minLevel }: LogFilter): string {
  const about =
    executionId !== undefined
      ? ` about execution ${executionId}`
      : project !== undefined
        ? ` about project "${project}"`
        : "";
  const narrowed = sinceMs !== undefined || minLevel > 10 ? " within --since and --level" : "";
  return `The log has no line${about}${narrowed}.`;
}

/** Paths of rotated log files, oldest first. */
async function rotatedBefore(path: string): Promise<string[]> {
  const directory = dirname(path);
  const names = await readdir(directory).catch(() => []);
  const rotated = names.filter((name) => name.endsWith("-airlock.log")).sort();
  return rotated.map((name) => join(directory, name));
}

/**
 * Prints each line that is appended to the log from now on, also after the file is rotated. Never resolves.
 */
async function follow(
  path: string,
  firstInode: number | undefined,
  firstPosition: number,
  print: (line: string) => void,
): Promise<number> {
  let inode = firstInode;
  let position = firstPosition;
  for (;;) {
    await sleep(POLL_MS);
    const now = await identityOf(path);
    if (!now) continue;
    if (now.ino !== inode || now.size < position) position = 0;
    inode = now.ino;
    if (now.size > position) position = await printFrom(path, position, print);
  }
}

async function identityOf(path: string): Promise<{ ino: number; size: number } | undefined> {
  return await stat(path).catch(() => undefined);
}

/**
 * Prints the complete lines of the log from byte `start` on. Resolves to the position after the last complete
 * line, from which the next call continues.
 */
async function printFrom(path: string, start: number, print: (line: string) => void): Promise<number> {
  let rest = "";
  let position = start;
  const input = createReadStream(path, { start, encoding: "utf8" });
  for await (const chunk of input) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      position += Buffer.byteLength(line) + 1;
      print(line);
    }
  }
  return position;
}
