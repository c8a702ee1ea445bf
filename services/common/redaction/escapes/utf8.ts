/** The number of bytes of a character in UTF-8. */
export function utf8Length(code: number): number {
  if (code < 0x80) return 1;
  return code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
}

/**
 * The UTF-8 bytes of a character as one number, the first byte lowest. A lone surrogate becomes U+FFFD, as in
 * `Buffer.from`.
 */
export function utf8Of(character: number): number {
  const code = character >= 0xd800 && character <= 0xdfff ? 0xfffd : character;
  if (code < 0x80) return code;
  const last = 0x80 | (code & 0x3f);
  const next = 0x80 | ((code >>> 6) & 0x3f);
  if (code < 0x800) return 0xc0 | (code >>> 6) | (last << 8);
  if (code < 0x1_0000) return 0xe0 | (code >>> 12) | (next << 8) | (last << 16);
  return 0xf0 | (code >>> 18) | ((0x80 | ((code >>> 12) & 0x3f)) << 8) | (next << 16) | (last << 24);
}
