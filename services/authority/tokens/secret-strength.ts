// HS256 needs a key of at least the size of its hash (RFC 7518 §3.2).
const LEAST_BYTES = 32;

// Secrets of documentation and tutorials: jwt.io's defaults, RFC 7515's example, and the usual fillers.
const WELL_KNOWN: readonly RegExp[] = [
  /your-?(\d+-bit-)?(super-?)?secret/i,
  /a-string-secret-at-least-\d+-bits-long/i,
  /ultra-secure-and-ultra-long-secret/i,
  /AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ/,
  /change[-_ ]?(me|this|it)/i,
  /(my|super|top|very)[-_ ]?(super[-_ ]?)?secret/i,
  /secret[-_ ]?key/i,
  /(test|example|sample|dummy|default)[-_ ]?(jwt[-_ ]?)?(secret|key)/i,
  /openssl rand|placeholder|replace[-_ ]?(me|this|with)/i,
];
// A piece that is repeated to the end, such as `secretsecret` or `0123456789abcdef0123456789abcdef`.
const REPEATED = /^(.{1,20}?)\1+.{0,19}$/s;
const LEAST_DIFFERENT = 10;

/** Why a secret may not sign tokens, as the end of a sentence; undefined when it may. Never has the secret in it. */
export function problemOfSecret(secret: string): string | undefined {
  const advice = "make one with: openssl rand -hex 32";
  if (Buffer.byteLength(secret) < LEAST_BYTES) return `must have at least ${LEAST_BYTES} bytes; ${advice}`;
  if (WELL_KNOWN.some((form) => form.test(secret)))
    return `is a well-known example or a filler, by which everybody could make tokens; ${advice}`;
  if (REPEATED.test(secret) || new Set(secret).size < LEAST_DIFFERENT || isSequence(secret))
    return `is easily guessed; ${advice}`;
  return undefined;
}

/** Whether most characters follow the one before in the alphabet or on the number line. */
function isSequence(text: string): boolean {
  let steps = 0;
  for (let n = 1; n < text.length; n++)
    if (Math.abs(text.charCodeAt(n) - text.charCodeAt(n - 1)) === 1) steps++;
  return steps > text.length / 2;
}
