import { randomBytes } from "node:crypto";
import { Transform } from "node:stream";
import type { Injection } from "../common/project-network.ts";
import { compileTexts, type NeedleSet } from "../common/redaction/needle-set.ts";
import { Scanner } from "../common/redaction/scanner.ts";
import type { Secret } from "../common/secret.ts";
import { Refusal } from "./refusal.ts";

/** A text that stands in for a secret, in one run. */
export type Placeholder = Injection & {
  readonly secret: Secret;
  readonly text: string;
  readonly needles: NeedleSet;
};

/** A new placeholder: characters that every header, URL and JSON text takes as they are. */
export function newPlaceholder(secret: Secret, injection: Injection): Placeholder {
  const text = `airlock-placeholder-${randomBytes(18).toString("hex")}`;
  return { ...injection, secret, text, needles: compileTexts([text]) };
}

/** Throws a Refusal when `text` holds a placeholder. */
export function refusePlaceholders(placeholders: readonly Placeholder[], text: string, where: string): void {
  for (const placeholder of placeholders) {
    if (text.includes(placeholder.text)) throw misplaced(placeholder, where);
  }
}

/** The value of one request header toward `host`, with its placeholder replaced. Throws a Refusal for one that stands wrongly. */
export function injectHeader(
  placeholders: readonly Placeholder[],
  target: { readonly host: string; readonly port: number },
  name: string,
  value: string,
): string {
  const found = placeholders.find(({ text }) => value.includes(text));
  if (!found) return value;
  const isPlace =
    found.host === target.host && found.port === target.port && found.header === name.toLowerCase();
  if (!isPlace) throw misplaced(found, `in the header ${name} to ${target.host}:${target.port}`);
  const written = found.format.replace("{}", () => found.text);
  if (value !== found.text && value !== written) {
    throw misplaced(found, "in that header together with other text");
  }
  return found.format.replace("{}", () => found.secret.reveal());
}

/** A stream that passes a body on and breaks when a placeholder stands in it. What came before has left: it is no secret. */
export function placeholderGuard(placeholders: readonly Placeholder[]): Transform {
  const scanners = placeholders.map((placeholder) => ({
    placeholder,
    scanner: new Scanner(placeholder.needles),
  }));
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const { placeholder, scanner } of scanners) {
        scanner.scan(chunk);
        if (scanner.regions.starts.length > 0) return done(misplaced(placeholder, "in the body"));
      }
      done(null, chunk);
    },
  });
}

function misplaced({ secret, host, port, header }: Placeholder, where: string): Refusal {
  return new Refusal(
    403,
    "placeholder_misplaced",
    `Airlock refused the request: the placeholder of secret ${secret.name} stands ${where}; it works only in the header ${header} to https://${host}${port === 443 ? "" : `:${port}`}`,
  );
}
