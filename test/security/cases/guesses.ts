import { randomBytes, randomInt } from "node:crypto";
import { TRIGGERS } from "../../../services/sanitizer/credentials/formats.ts";

/** A script's guess of a value that it was not given. */
export type Guess = {
  readonly isRight: boolean;
  /** The guessed part of the value. */
  readonly part: "beginning" | "whole";
  readonly text: string;
};

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

export const randomText = (length: number): string =>
  Array.from(randomBytes(length), (byte) => ALPHABET[byte % 64]).join("");

/** Random values in the forms of brokered secrets, most with a public beginning. */
const VALUES: readonly (() => string)[] = [
  () => `brk-${randomText(randomInt(16, 40))}`,
  () => `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${randomText(60)}.${randomText(43)}`,
  () => `client:${randomText(24)}`,
  () => `{"client_id":"airlock","client_secret":"${randomText(24)}"}`,
  () => `${randomText(42)}==`,
  () => randomBytes(20).toString("hex"),
];

export const randomValue = (): string => pick(VALUES)();

/** A random URL with a password, which is redacted in every output because of its form. */
export const randomUrl = (): string => `https://app:${randomText(20)}@db.example/prod`;

/** A random guess of one of these values: right, or wrong in its last character only. */
export function guessOf(values: readonly string[], isRight: boolean): Guess {
  for (;;) {
    const value = pick(values);
    const part = pick(["beginning", "whole"] as const);
    // The last characters of a beginning are left out, because Base64 counts as whole without its last three
    // characters.
    const right = value.slice(0, part === "whole" ? value.length : randomInt(4, value.length - 5));
    const last = right.slice(-1);
    const other = pick([...ALPHABET].filter((character) => character !== last));
    const text = isRight ? right : right.slice(0, -1) + other;
    if (!mayBeginCredential(text)) return { isRight, part, text };
  }
}

/**
 * Whether redaction holds back the end of the text in every output, because a credential of a known form could begin
 * there.
 */
function mayBeginCredential(text: string): boolean {
  return TRIGGERS.some(({ bytes }) => {
    const trigger = Buffer.from(bytes).toString();
    return [...trigger].some((_, end) => text.endsWith(trigger.slice(0, end + 1)));
  });
}

export function pick<T>(choices: readonly T[]): T {
  return choices[randomInt(choices.length)] as T;
}

/**
 * The largest advantage of a judge over a coin that the trials allow, with 95 % confidence. In each arm every one of `trials`
 * independent trials gave the observation that follows from public facts. If that had a probability below
 * 0.025^(1/trials) in one of the arms, so many in a row would have come in fewer than 2.5 % of all experiments. So, but for
 * 5 % in both together, the two distributions share at least that mass, and their distance, by which a judge can be
 * better than a coin, is at most the rest: about 3.7 / trials.
 */
export function advantageBound(trials: number): number {
  return 1 - 0.025 ** (1 / trials);
}

/** Counts the trials of both arms. */
export class Arms {
  readonly #trials = { right: 0, wrong: 0 };

  add({ isRight }: Guess): void {
    this.#trials[isRight ? "right" : "wrong"]++;
  }

  /** The bound for the smaller arm; prints it to the test's output. */
  report(what: string): number {
    const { right, wrong } = this.#trials;
    const bound = advantageBound(Math.min(right, wrong));
    const percent = (bound * 100).toFixed(2);
    process.stdout.write(
      `${what}: ${right} right and ${wrong} wrong guesses showed only what is public; advantage below ${percent} % (95 % confidence)\n`,
    );
    return bound;
  }
}
