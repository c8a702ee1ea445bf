import { randomBytes } from "node:crypto";
import { Transform } from "node:stream";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import type { Injection } from "#common/projects/sections/injection.ts";
import { Scanner } from "#common/redaction/matching/scanner.ts";
import { compileTexts, type NeedleSet } from "#common/redaction/needles/needle-set.ts";
import type { Secret } from "#common/secret.ts";
import { Refusal } from "../policy/refusal.ts";

/** The beginning of every placeholder. */
const PREFIX = "airlock-placeholder-";
const PREFIX_NEEDLES = compileTexts([PREFIX]);

/**
 * A text that a script holds instead of a brokered secret, during one run. The proxy replaces it by the
 * secret in requests to the secret's host.
 */
export type Placeholder = Injection & {
  readonly secret: Secret;
  readonly text: string;
};

/**
 * Makes the placeholder of a secret for one run. `mark` is the end of the placeholder, which is unique to the
 * run; random when it is not given. The placeholder has only characters that headers, URLs and JSON text take
 * unescaped.
 */
export function newPlaceholder(
  secret: Secret,
  injection: Injection,
  mark = randomBytes(18).toString("hex"),
): Placeholder {
  const text = `${PREFIX}${mark}`;
  return { ...injection, secret, text };
}

/** Throws a Refusal when `text` contains a placeholder; `where` says in the message where that was. */
export function refusePlaceholders(placeholders: readonly Placeholder[], text: string, where: string): void {
  for (const placeholder of placeholders) {
    if (text.includes(placeholder.text)) throw misplaced(placeholder, where);
  }
}

/**
 * The value of a request header to `target`, in which a placeholder is replaced by its secret. Throws a
 * Refusal when the placeholder belongs to another host, port or header, or stands among other text.
 */
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

/**
 * A stream that passes a request body on, and fails with a Refusal when a placeholder stands in the body.
 * Earlier pieces of the body have been sent by then, perhaps with the beginning of the placeholder. That is
 * harmless, because a placeholder is no secret.
 */
export function placeholderGuard(placeholders: readonly Placeholder[], owner?: string): Transform {
  const search = new PlaceholderSearch(placeholders);
  const steps = new TextSteps(owner);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let found: Placeholder | undefined;
      const look = (part: Uint8Array) => {
        found ??= search.push(part);
      };
      steps.each(chunk, look).then(() => {
        if (found) done(misplaced(found, "in the body"));
        else done(null, chunk);
      }, done);
    },
  });
}

/**
 * Searches for placeholders in a text that arrives in pieces. All runs share one search for the prefix of
 * placeholders, which is enough for most texts. Only when the prefix is found is a search for the run's whole
 * placeholders compiled.
 */
class PlaceholderSearch {
  readonly #placeholders: readonly Placeholder[];
  readonly #beginnings = new Scanner(PREFIX_NEEDLES);
  #whole: Scanner | undefined;
  /**
   * The last bytes of the body so far, which may be the beginning of a placeholder; empty when they cannot
   * be.
   */
  #open: Uint8Array = Buffer.alloc(0);

  constructor(placeholders: readonly Placeholder[]) {
    this.#placeholders = placeholders;
  }

  /** Takes the next bytes and returns a placeholder that ends in them; undefined when none does. */
  push(chunk: Uint8Array): Placeholder | undefined {
    const text = this.#whole ? chunk : this.#begun(chunk);
    if (!this.#whole) return undefined;
    this.#whole.scan(text);
    const { head, starts, patterns } = this.#whole.regions;
    return head < starts.length ? this.#placeholders[patterns[head] as number] : undefined;
  }

  #begun(chunk: Uint8Array): Uint8Array {
    const scanner = this.#beginnings;
    const text = Buffer.concat([this.#open, chunk]);
    scanner.scan(chunk);
    if (scanner.regions.starts.length > 0) this.#whole = new Scanner(needlesOf(this.#placeholders));
    this.#open = Buffer.from(text.subarray(text.length - (scanner.received - scanner.settled)));
    return text;
  }
}

const compiled = new WeakMap<readonly Placeholder[], WeakRef<NeedleSet>>();

/**
 * The compiled needles for all placeholders of a run. They are large, so they are kept only while a body is
 * transferred.
 */
function needlesOf(placeholders: readonly Placeholder[]): NeedleSet {
  const known = compiled.get(placeholders)?.deref();
  if (known) return known;
  const needles = compileTexts(placeholders.map(({ text }) => text));
  compiled.set(placeholders, new WeakRef(needles));
  return needles;
}

function misplaced({ secret, host, port, header }: Placeholder, where: string): Refusal {
  return new Refusal(
    403,
    "placeholder_misplaced",
    `Airlock refused the request: the placeholder of secret ${secret.name} stands ${where}; it works only in the header ${header} to https://${host}${port === 443 ? "" : `:${port}`}`,
  );
}
