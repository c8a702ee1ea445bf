import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { LaggingRedactor } from "./lagging-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

const LINE_END = 0x0a;

/**
 * The body of a response without the needles of its host. It leaves with a constant lag; one that breaks off lacks as many
 * bytes at its end. Streams of lines, such as events, leave at the end of a line: who waits for an event must not wait
 * for the next one.
 */
export function filterBody(filter: ResponseFilter, { headers }: IncomingMessage): Transform {
  const hasLines = isStreamOfLines(headers["content-type"] ?? "");
  let redactor = new LaggingRedactor(filter);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const lines = hasLines ? chunk.lastIndexOf(LINE_END) + 1 : 0;
      const pieces = redactor.push(chunk.subarray(0, lines));
      if (lines > 0) {
        pieces.push(...redactor.end());
        // No value goes on behind the end of a line, so nothing that has come by now may decide over what comes next.
        redactor = new LaggingRedactor(filter);
      }
      pieces.push(...redactor.push(chunk.subarray(lines)));
      sendAsOne(this, pieces, done);
    },
    flush(done) {
      sendAsOne(this, redactor.end(), done);
    },
  });
}

/** Pieces end where a match was thought possible, which nobody may see. */
function sendAsOne(stream: Transform, pieces: readonly Uint8Array[], done: () => void): void {
  const bytes = Buffer.concat(pieces);
  if (bytes.length > 0) stream.push(bytes);
  done();
}

function isStreamOfLines(contentType: string): boolean {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)|application\/stream\+json)\s*(;|$)/i.test(
    contentType.trim(),
  );
}
