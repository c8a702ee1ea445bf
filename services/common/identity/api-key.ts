import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** The most that one key may have: seconds of life, and projects that it is limited to. */
export const KEY_LIMITS = { lifeSeconds: 366 * 24 * 3_600, projects: 100 } as const;

// Both parts have a fixed length and no underscore, so that a key can be found in any text by its form; the
// sanitizer's rule for credentials knows the same form.
const FORM = /^alk_([a-z0-9]{16})_([A-Za-z0-9]{43})$/;
const ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH = 16;
// 62 to the power of 43 is just more than 2 to the power of 256, so 43 characters hold 32 random bytes.
const SECRET_LENGTH = 43;
const SECRET_BYTES = 32;

/** An API key: `text` is what a client shows, `id` its public part. */
export type ApiKey = { readonly text: string; readonly id: string; readonly secretSha256: string };

/** Makes a key of 32 random bytes. */
export function makeApiKey(): ApiKey {
  const id = digits(randomBytes(ID_LENGTH), ID_ALPHABET, ID_LENGTH);
  const secret = digits(randomBytes(SECRET_BYTES), SECRET_ALPHABET, SECRET_LENGTH);
  return { text: `alk_${id}_${secret}`, id, secretSha256: sha256(secret) };
}

/** Reads a key's text. Undefined when the text does not have the form of a key. */
export function readApiKey(text: string): ApiKey | undefined {
  const [, id, secret] = FORM.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { text, id, secretSha256: sha256(secret) };
}

/** Whether both hashes are of the same secret. The time it takes says nothing about where they differ. */
export function isSameSecret(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, "hex"), Buffer.from(other, "hex")];
  return a.length === b.length && timingSafeEqual(a, b);
}

// A key has 256 random bits, so a fast hash without salt is enough: there is no guess to slow down.
function sha256(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** The bytes, read as one number, in digits of `alphabet`; the last `length` of them. */
function digits(bytes: Buffer, alphabet: string, length: number): string {
  const base = BigInt(alphabet.length);
  let rest = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let n = 0; n < length; n++) {
    text = alphabet.charAt(Number(rest % base)) + text;
    rest /= base;
  }
  return text;
}
