/** A text as UTF-16 in both byte orders, as Windows and some databases write it. */
export function utf16Forms(text: string): Buffer[] {
  const little = Buffer.from(text, "utf16le");
  return [little, Buffer.from(little).swap16()];
}
