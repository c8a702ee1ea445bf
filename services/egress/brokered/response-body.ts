import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import { searchTimeOver } from "./even-pace.ts";
import { LaggingRedactor } from "./lagging-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

const LINE_END = 0x0a;
/** The smallest step, because each step searches the held-back bytes again. */
const SMALLEST_STEP_BYTES = 16 * 1024;

/**
 * Redacts the body of a response from a host that knows secrets. The body leaves with a constant lag, so a
 * body that breaks off lacks that many bytes at its end. Streams of lines, such as events, are released at
 * each line end, because a client that waits for an event must not have to wait for the next one. Each byte takes
 * the same time, whatever the text is. `owner` is
 * the project that the work counts for when projects take turns on the event loop.
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
        // No secret spans a line end. The redactor starts anew, so that earlier text has no influence on what
        // is released later.
        redactor = new LaggingRedactor(filter);
        return [...pieces, ...(await redact(chunk.subarray(lines)))];
      });
    },
    flush(done) {
      sendAsOne(done, filter.lagBytes, async () => redactor.end());
    },
  });
}

/** Sends all pieces as one chunk, so that the script cannot see where a redactor divided the text. */
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
