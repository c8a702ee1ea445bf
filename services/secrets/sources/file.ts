import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import { type SecretSource, UnresolvedSecret } from "./source.ts";

const MAX_FILE_BYTES = 64 * 1024;

/** Values from files, read anew each time; paths are relative to `directory`, one newline at the end is not part of the value. */
export function fileSource(directory: string): SecretSource {
  return {
    isRemote: false,
    async read(path) {
      // Without O_NONBLOCK a pipe without a writer would hold the call for ever.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK;
      const file = await open(resolve(directory, path), flags).catch((error: unknown) => {
        throw new UnresolvedSecret(reasonOf(error), { cause: error });
      });
      try {
        return await readValue(file);
      } finally {
        await file.close();
      }
    },
  };
}

async function readValue(file: FileHandle): Promise<string> {
  if (!(await file.stat()).isFile()) throw new UnresolvedSecret("this is not a regular file");
  const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length > MAX_FILE_BYTES) throw new UnresolvedSecret("this file is larger than 64 KiB");
  const content = buffer.subarray(0, length);
  if (!isUtf8(content)) throw new UnresolvedSecret("this file is not UTF-8 text");
  return content.toString("utf8").replace(/\r?\n$/, "");
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
    case "ENOTDIR":
      return "this file does not exist (a relative path begins at the projects directory)";
    case "EACCES":
    case "EPERM":
      return "this file may not be read by the secrets service";
    default:
      return "this file cannot be read";
  }
}
