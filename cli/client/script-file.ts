import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { ConfigError } from "#common/service/environment.ts";
import { MAX_BODY_BYTES } from "#common/submission/limits.ts";
import { systemReason } from "#common/system-reason.ts";

// An encoding declaration (PEP 263), which may stand in one of the first two lines.
const CODING_COOKIE = /^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)/;
const UTF8_NAMES = /^utf[-_]?8([-_]sig)?$/i;

/**
 * Reads the script in `path`, or from standard input for `-`. Rejects with a ConfigError when it is not UTF-8
 * text.
 */
export async function readScript(path: string): Promise<string> {
  return path === "-"
    ? decodeScript("standard input", await readAll("standard input", process.stdin))
    : decodeScript(path, await readBytes(path));
}

/**
 * Decodes a script as CPython would. Throws a ConfigError for a script that is not UTF-8, because Airlock
 * sends scripts as text, so the characters of another encoding would arrive changed.
 */
export function decodeScript(name: string, bytes: Buffer): string {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new ConfigError([`${name} is not Python source: a NUL byte is in line ${lineAt(bytes, nul)}.`]);
  }
  if (!isUtf8(bytes)) {
    const place = `line ${lineAt(bytes, firstBadByte(bytes))}`;
    throw new ConfigError([
      `${name} is not encoded as UTF-8 (${place}). Convert it first, such as with: iconv -f ${cookieIn(bytes) ?? "latin1"} -t utf-8; and take a coding line (PEP 263) out.`,
    ]);
  }
  const cookie = cookieIn(bytes);
  const isAscii = bytes.every((byte) => byte < 0x80);
  if (cookie !== undefined && !UTF8_NAMES.test(cookie) && !isAscii) {
    throw new ConfigError([
      `${name} has a coding line (PEP 263) that names ${cookie}, but is encoded as UTF-8, so Python would read wrong characters. Correct the coding line.`,
    ]);
  }
  // TextDecoder removes the byte order mark that some editors write.
  return new TextDecoder().decode(bytes);
}

/**
 * Reads a file that becomes a part of a request, such as a script or a memory. Rejects with a ConfigError
 * when the file cannot be read, or is larger than the largest request.
 */
export async function readBytes(path: string): Promise<Buffer> {
  return await readAll(path, createReadStream(path));
}

/**
 * Reads a file or standard input to its end. Rejects with a ConfigError as soon as it is larger than the
 * largest request, because a device or a pipe may have no end.
 */
async function readAll(name: string, source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of source) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) break;
    }
  } catch (error) {
    throw new ConfigError([`${name} cannot be read: ${systemReason(error)}.`]);
  }
  if (bytes > MAX_BODY_BYTES) {
    throw new ConfigError([
      `${name} is larger than ${MAX_BODY_BYTES} bytes (16 MiB), the most that a request may have. Send less, or let the script fetch the data itself.`,
    ]);
  }
  return Buffer.concat(chunks);
}

function cookieIn(bytes: Buffer): string | undefined {
  const lines = bytes.toString("latin1").split(/\r\n?|\n/, 2);
  return lines.map((line) => CODING_COOKIE.exec(line)?.[1]).find((name) => name !== undefined);
}

function lineAt(bytes: Buffer, offset: number): number {
  return bytes.subarray(0, offset).filter((byte) => byte === 0x0a).length + 1;
}

function firstBadByte(bytes: Buffer): number {
  let good = 0;
  let end = bytes.length;
  // Binary search for the longest valid UTF-8 prefix. A prefix that ends within a character is shortened to
  // that character's start.
  while (good < end) {
    const middle = Math.ceil((good + end) / 2);
    if (isUtf8(bytes.subarray(0, startOfCharacter(bytes, middle)))) good = middle;
    else end = middle - 1;
  }
  return good;
}

function startOfCharacter(bytes: Buffer, offset: number): number {
  let start = offset;
  while (start > 0 && start > offset - 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start--;
  return start;
}
