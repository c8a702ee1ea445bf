/**
 * A text as the inside of a JSON string: with characters beyond ASCII as they are, and escaped as Python does. Escapes under
 * Base64 or hexadecimal digits have to be written out, since the scanner cannot read them there.
 */
export function jsonForms(text: string): string[] {
  const inside = JSON.stringify(text).slice(1, -1);
  const ascii = inside.replace(
    /[^\0-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return [...new Set([inside, ascii])];
}
