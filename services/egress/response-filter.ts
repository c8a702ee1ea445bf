import { Transform } from "node:stream";
import { PLAIN_MARKER } from "../common/redaction/markers.ts";
import { compileNeedles, type NeedleSet } from "../common/redaction/needle-set.ts";
import { TextRedactor } from "../common/redaction/text-redactor.ts";
import type { Secret } from "../common/secret.ts";
import type { Placeholder } from "./placeholders.ts";

/**
 * What must not come back from servers; undefined when there is nothing. In place of a value the script reads the
 * placeholder that it sent: a usual marker would tell it the last four characters.
 */
export function responseNeedles(
  placeholders: readonly Placeholder[],
  retired: readonly Secret[],
): NeedleSet | undefined {
  const secrets = [...placeholders.map(({ secret }) => secret), ...retired];
  if (secrets.length === 0) return undefined;
  const compiled = compileNeedles(secrets.map((secret) => secret.reveal()));
  const needles = compiled.needles.map((needle) => ({
    ...needle,
    replacement: Buffer.from(placeholders[needle.source]?.text ?? PLAIN_MARKER),
  }));
  return { ...compiled, needles };
}

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
