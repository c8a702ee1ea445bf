import { Transform } from "node:stream";
import type { NeedleSet } from "../common/redaction/needle-set.ts";
import { TextRedactor } from "../common/redaction/text-redactor.ts";

/** A short text, such as a header, without the needles. Headers are bytes that Node shows as Latin-1. */
export function redactText(needles: NeedleSet, text: string): string {
  const redactor = new TextRedactor(needles);
  const pieces = [...redactor.push(Buffer.from(text, "latin1")), ...redactor.end(false).pieces];
  return Buffer.concat(pieces).toString("latin1");
}

/** A body without the needles. One that breaks off ends before what could be the beginning of a needle. */
export function redactBody(needles: NeedleSet): Transform {
  const redactor = new TextRedactor(needles);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const piece of redactor.push(chunk)) this.push(piece);
      done();
    },
    flush(done) {
      for (const piece of redactor.end(false).pieces) this.push(piece);
      done();
    },
  });
}
