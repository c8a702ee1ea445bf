const SHOWN_CHARACTERS = 4;
/** Of a shorter secret four characters would give too much away. */
const MIN_CHARACTERS_TO_SHOW = 12;

export const PLAIN_MARKER = "[REDACTED]";

/** What stands in the place of `text`: its last four characters are told from twelve characters up, if they can be printed. */
export function markerFor(text: string): string {
  // A character is one or two units; of a long text only the end is taken apart.
  const characters = [
    ...(text.length < MIN_CHARACTERS_TO_SHOW * 2 ? text : text.slice(-MIN_CHARACTERS_TO_SHOW * 2)),
  ];
  if (characters.length < MIN_CHARACTERS_TO_SHOW) return PLAIN_MARKER;
  const shown = characters.slice(-SHOWN_CHARACTERS).join("");
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(shown) ? PLAIN_MARKER : `[REDACTED...${shown}]`;
}
