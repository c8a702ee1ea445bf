/** The hexadecimal digits of bytes, in lower and in upper case. */
export function hexForms(bytes: Uint8Array): string[] {
  const digits = Buffer.from(bytes).toString("hex");
  return [...new Set([digits, digits.toUpperCase()])];
}
