const SHOWN_CHARACTERS = 4;
/** Of a shorter secret four characters would give too much away. */
const MIN_CHARACTERS_TO_SHOW = 12;

/** What stands in the place of `text`: its last four characters are told from twelve characters up, if they can be printed. */
export function markerFor(text: string): string {
  const characters = [...text];
  if (characters.length < MIN_CHARACTERS_TO_SHOW) return "[REDACTED]";
  const shown = characters.slice(-SHOWN_CHARACTERS).join("");
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(shown) ? "[REDACTED]" : `[REDACTED...${shown}]`;
}
