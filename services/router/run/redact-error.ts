import { SanitizeChannel } from "#proto/sanitizer.ts";
import type { SanitizeCall } from "../peers/sanitizer.ts";

/** The line that the worker writes where it cut the middle out of a long error. */
const CUT = /\n… (\d+) bytes cut …\n/;

/**
 * Redacts the error text of a run. Where the worker cut the middle out, a part of a secret may be left before
 * or after the cut, and the sanitizer would not recognize that part. So the sanitizer drops from the text
 * before the cut what could begin a secret, and this function drops the text after the cut up to the end of
 * its line.
 */
export async function redactError(
  text: string,
  sanitizer: Pick<SanitizeCall, "redact" | "redactCut">,
): Promise<string> {
  const found = CUT.exec(text);
  if (!found) return await sanitizer.redact(SanitizeChannel.ERROR, Buffer.from(text));
  const head = Buffer.from(text.slice(0, found.index));
  const rest = text.slice(found.index + found[0].length);
  const lineEnd = rest.indexOf("\n") + 1;
  const tail = lineEnd === 0 ? "" : rest.slice(lineEnd);
  const lost = Buffer.byteLength(rest) - Buffer.byteLength(tail);
  const { text: redacted, droppedBytes } = await sanitizer.redactCut(SanitizeChannel.ERROR, head);
  const notice = `${redacted}\n… ${Number(found[1]) + droppedBytes + lost} bytes cut …`;
  // The text after the cut is searched for further cuts, because a script may have printed such a line
  // itself.
  return tail === "" ? notice : `${notice}\n${await redactError(tail, sanitizer)}`;
}
