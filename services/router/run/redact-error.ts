import { SanitizeChannel } from "#proto/sanitizer.ts";
import type { SanitizerSession } from "../peers/sanitizer.ts";

/** The line that the worker leaves where it took the middle out of a long error. */
const CUT = /\n… (\d+) bytes cut …\n/;

/**
 * The error as it may leave. On both sides of a cut may stand a part of a secret, which nobody would find: before it the
 * sanitizer takes away what could be the beginning of one, after it the text goes on with the next whole line.
 */
export async function cleanError(
  text: string,
  sanitizer: Pick<SanitizerSession, "clean" | "cleanCut">,
): Promise<string> {
  const found = CUT.exec(text);
  if (!found) return await sanitizer.clean(SanitizeChannel.ERROR, Buffer.from(text));
  const head = Buffer.from(text.slice(0, found.index));
  const rest = text.slice(found.index + found[0].length);
  const lineEnd = rest.indexOf("\n") + 1;
  const tail = lineEnd === 0 ? "" : rest.slice(lineEnd);
  const lost = Buffer.byteLength(rest) - Buffer.byteLength(tail);
  const { text: clean, droppedBytes } = await sanitizer.cleanCut(SanitizeChannel.ERROR, head);
  const notice = `${clean}\n… ${Number(found[1]) + droppedBytes + lost} bytes cut …`;
  // A script may have written such a line, too: what follows is looked at in the same way.
  return tail === "" ? notice : `${notice}\n${await cleanError(tail, sanitizer)}`;
}
