import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import { LaggingRedactor } from "./lagging-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

const LINE_END = 0x0a;
/** Each step searches the lag as well. */
const SMALLEST_STEP_BYTES = 4 * 1024;

/**
 * The body of a response without the needles of its host. It leaves with a constant lag; one that breaks off lacks as many
 * bytes at its end. Streams of lines, such as events, leave at the end of a line: who waits for an event must not wait
 * for the next one. `owner` takes turns for the work.
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
      sendAsOne(done, async () => {
        const lines = hasLines ? chunk.lastIndexOf(LINE_END) + 1 : 0;
        if (lines === 0) return await redact(chunk);
        const pieces = [...(await redact(chunk.subarray(0, lines))), ...redactor.end()];
        // No value goes on behind the end of a line, so nothing that has come by now may decide over what comes next.
        redactor = new LaggingRedactor(filter);
        return [...pieces, ...(await redact(chunk.subarray(lines)))];
      });
    },
    flush(done) {
      sendAsOne(done, async () => redactor.end());
    },
  });
}

/** Where one piece ends and the next begins is for nobody to see. */
function sendAsOne(
  done: (error: Error | null, bytes?: Buffer) => void,
  take: () => Promise<readonly Uint8Array[]>,
): void {
  take().then(
    (pieces) => done(null, Buffer.concat(pieces)),
    (error) => done(error as Error),
  );
}

function isStreamOfLines(contentType: string): boolean {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)|application\/stream\+json)\s*(;|$)/i.test(
    contentType.trim(),
  );
}
