import { isUtf8 } from "node:buffer";
import { basename, isAbsolute, resolve } from "node:path";
import type { Clock } from "#common/resilience/clock.ts";
import { readSettled } from "./settled-file.ts";
import { type SecretSource, UnresolvedSecret } from "./source.ts";

const MAX_FILE_BYTES = 64 * 1024;

/**
 * A source that reads secret values from files, anew each time, so that a changed file takes effect. Relative
 * paths begin at `directory`. One line end at the end of the file is not part of the value.
 */
export function fileSource(directory: string, clock: Clock): SecretSource {
  return {
    isRemote: false,
    async read(path) {
      const name = shown(path);
      const content = await readSettled(resolve(directory, path), MAX_FILE_BYTES, clock).catch((error) => {
        throw error instanceof UnresolvedSecret
          ? error
          : new UnresolvedSecret(`the file ${name} ${reasonOf(error)}`, { cause: error });
      });
      if (content.length > MAX_FILE_BYTES)
        throw new UnresolvedSecret(`the file ${name} is larger than 64 KiB`);
      if (!isUtf8(content)) throw new UnresolvedSecret(`the file ${name} is not UTF-8 text`);
      return content.toString("utf8").replace(/\r?\n$/, "");
    },
  };
}

/** The path as errors show it. Agents may read errors, so an absolute path is reduced to its last name. */
function shown(path: string): string {
  return JSON.stringify(isAbsolute(path) ? `…/${basename(path)}` : path);
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
    case "ENOTDIR":
      return "does not exist (a relative path begins at the projects directory)";
    case "EACCES":
    case "EPERM":
      return "may not be read by the secrets service";
    default:
      return "cannot be read";
  }
}
