import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import { searchTimeOver } from "./even-pace.ts";
import { LaggingRedactor } from "./lagging-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

const LINE_END = 0x0a;
/**
 * The fewest bytes of a response body that are redacted in one step. Smaller steps would take too long
 * together, because each step searches the bytes that are held back again.
 */
const SMALLEST_STEP_BYTES = 16 * 1024;

/**
 * A stream that redacts the body of a response from a host that gets brokered secrets. Each byte leaves only
 * when `filter.lagBytes` more bytes have arrived, so a body that breaks off lacks that many bytes at its end.
 * Streams of lines, such as events, are released at each line end, because a client that waits for an event
 * must not have to wait for the next one. The time depends only on the number of bytes, so that it reveals
 * nothing about secrets (see even-pace.ts). `owner` is the project whose share of the event loop the work
 * uses; undefined: no project's.
 */
export function filterBody(filter: ResponseFilter, { headers }: IncomingMessage, owner?: string): Transform {
  const hasLines = isStreamOfLines(headers["content-type"] ?? "");
  const steps = new TextSteps(owner, SMALLEST_STEP_BYTES);
  let redactor = new LaggingRedactor(filter);
  const redact = async (bytes: Uint8Array): Promise<Uint8Array[]> => {
    const pieces: Uint8Array[] = [];
    await steps.each(bytes, (part) => void pieces.push(...redactor.push(part)));
    return pieces;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sendAsOne(done, chunk.length + filter.lagBytes, async () => {
        const lines = hasLines ? chunk.lastIndexOf(LINE_END) + 1 : 0;
        if (lines === 0) return await redact(chunk);
        const pieces = [...(await redact(chunk.subarray(0, lines))), ...redactor.end()];
        // No secret spans a line end. The redactor starts anew after each one, so that earlier text has no
        // influence on what is released later.
        redactor = new LaggingRedactor(filter);
        return [...pieces, ...(await redact(chunk.subarray(lines)))];
      });
    },
    flush(done) {
      sendAsOne(done, filter.lagBytes, async () => redactor.end());
    },
  });
}

/**
 * Passes all redacted pieces on as one chunk, so that the script cannot see where the redactor divided the
 * text. Waits until the time that a search of `searchedBytes` is given is over.
 */
function sendAsOne(
  done: (error: Error | null, bytes?: Buffer) => void,
  searchedBytes: number,
  take: () => Promise<readonly Uint8Array[]>,
): void {
  const fromMs = performance.now();
  const taken = take().then(async (pieces) => {
    await searchTimeOver(fromMs, searchedBytes);
    return pieces;
  });
  taken.then(
    (pieces) => done(null, Buffer.concat(pieces)),
    (error) => done(error as Error),
  );
}

function isStreamOfLines(contentType: string): boolean {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)|application\/stream\+json)\s*(;|$)/i.test(
    contentType.trim(),
  );
}
