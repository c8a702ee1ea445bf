/** Hexadecimal digits of bytes, in both cases. */
export function hexForms(bytes: Uint8Array): string[] {
  const digits = Buffer.from(bytes).toString("hex");
  return [...new Set([digits, digits.toUpperCase()])];
}
