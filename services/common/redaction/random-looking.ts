/** So many characters in a row of a long secret never leave; one less may, in a table's cell, a wrapped line, or a cut. */
export const MIN_PIECE_CHARACTERS = 13;

/** Any `MIN_PIECE_CHARACTERS` in a row hold one of the samples that are taken every so many characters. */
const SAMPLE_CHARACTERS = 7;

/** A shorter value is looked for as a whole only. */
const MIN_PIECED_BYTES = 24;

/** Of a larger value only pieces of its first bytes are looked for, besides the whole. */
const MAX_PIECED_BYTES = 16 * 1024;

/** Bits for each character; hexadecimal digits have close to 4, English words written together below 3. */
const MIN_ENTROPY = 2.9;

/** So many small letters in a row are taken for a word. */
const MIN_WORD_LETTERS = 5;

/** A stretch of a value, of which any piece is looked for. */
export type Stretch = {
  readonly text: string;
  /** Where its samples stand. Each piece holds one of them. */
  readonly samples: readonly number[];
};

export function sampleAt({ text }: Stretch, at: number): string {
  return text.slice(at, at + SAMPLE_CHARACTERS);
}

/**
 * The stretches of a value that look random. Words, the scheme and the host of a URL, and the headers of keys and of
 * JSON Web Tokens, which are the same for many, do not; of a value with a secret's name all but words do.
 */
export function stretchesOf(value: string, isNamedSecret: boolean): Stretch[] {
  if (Buffer.byteLength(value) < MIN_PIECED_BYTES) return [];
  const searched = value.slice(0, MAX_PIECED_BYTES).replace(SCHEME_AND_HOST, "$1 ").replace(KEY_HEADERS, " ");
  return [...searched.matchAll(/[A-Za-z0-9+/=_-]{13,}/g)].flatMap(([text]) => {
    const isTelling = isNamedSecret ? !/^[A-Za-z]+$|^[a-z_/-]+$/.test(text) : isRandomLooking(text);
    if (!isTelling || isTokenHeader(text)) return [];
    const count = Math.floor((text.length - SAMPLE_CHARACTERS) / SAMPLE_CHARACTERS) + 1;
    return { text, samples: Array.from({ length: count }, (_, index) => index * SAMPLE_CHARACTERS) };
  });
}

/** The user info of a URL is kept. */
const SCHEME_AND_HOST = /[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:([^/?#@\s]*)@)?[^/?#@\s]*/g;

/** How all keys of RSA and of the curve P-256 begin in PEM, the public ones too. */
const KEY_HEADERS =
  /MII.{1,12}ANBgkqhkiG9w0BAQEFAA(?:.{4,28}AgEAAo.{1,4}BAQ)?|MIG.{1,8}MBMGByqGSM49AgEGCCqGSM49AwEHB[HG]0wawIBAQQg/g;

/** Whether a run of letters and digits was made by chance rather than by people. */
function isRandomLooking(run: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(run)).length;
  if (kinds < 2) return false;
  const words = run.match(new RegExp(`[a-z]{${MIN_WORD_LETTERS},}`, "g")) ?? [];
  const inWords = words.reduce((sum, word) => sum + word.length, 0);
  return inWords * 2 < run.length && entropyOf(run) >= MIN_ENTROPY;
}

function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

function isTokenHeader(run: string): boolean {
  return run.startsWith("eyJ") && Buffer.from(run, "base64url").toString().includes('"alg"');
}
