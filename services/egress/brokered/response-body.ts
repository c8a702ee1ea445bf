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
      sendAsOne(done, () => {
        const lines = hasLines ? chunk.lastIndexOf(LINE_END) + 1 : 0;
        if (lines === 0) return redactor.push(chunk);
        const pieces = [...redactor.push(chunk.subarray(0, lines)), ...redactor.end()];
        // No value goes on behind the end of a line, so nothing that has come by now may decide over what comes next.
        redactor = new LaggingRedactor(filter);
        return [...pieces, ...redactor.push(chunk.subarray(lines))];
      });
    },
    flush(done) {
      sendAsOne(done, () => redactor.end());
    },
  });
}

/** Where one piece ends and the next begins is for nobody to see. */
function sendAsOne(
  done: (error: Error | null, bytes?: Buffer) => void,
  take: () => readonly Uint8Array[],
): void {
  try {
    done(null, Buffer.concat(take()));
  } catch (error) {
    done(error as Error);
  }
}

function isStreamOfLines(contentType: string): boolean {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)|application\/stream\+json)\s*(;|$)/i.test(
    contentType.trim(),
  );
}
