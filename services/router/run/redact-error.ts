import { SanitizeChannel } from "#proto/sanitizer.ts";
import type { SanitizeCall } from "../peers/sanitizer.ts";

/** The line that the worker writes where it cut the middle out of a long error. */
const CUT = /\n… (\d+) bytes cut …\n/;

/**
 * The redacted error. A cut may leave a part of a secret on either side, which no needle would match. So the
 * sanitizer drops from the text before the cut what could be the beginning of a secret, and the text after the cut
 * continues with its next whole line.
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
  // A script may have printed such a line itself, so the rest is treated in the same way.
  return tail === "" ? notice : `${notice}\n${await redactError(tail, sanitizer)}`;
}
