/**
 * A text as the inside of a JSON string: with characters beyond ASCII as they are, and with these escaped, as
 * Python does. Needles in Base64 or hexadecimal digits are made of both, because the scanner cannot read JSON
 * escapes inside such encodings.
 */
export function jsonForms(text: string): string[] {
  const inside = JSON.stringify(text).slice(1, -1);
  const ascii = inside.replace(
    /[^\0-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return [...new Set([inside, ascii])];
}
