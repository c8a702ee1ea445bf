const SHOWN_CHARACTERS = 4;
/** Four characters are less than a quarter of any secret that shows them. */
const MIN_CHARACTERS_TO_SHOW = 17;

export const PLAIN_MARKER = "[REDACTED]";

/** A marker with these last characters, as they are written. */
export function markerShowing(last: string): string {
  return `[REDACTED...${last}]`;
}

/**
 * The last four characters of `text` that its marker shows: from seventeen characters up, if they can be printed, and
 * none of a number. Empty when it shows none.
 */
export function shownOf(text: string): string {
  // A character is one or two units; of a long text only the end is taken apart.
  const characters = [
    ...(text.length < MIN_CHARACTERS_TO_SHOW * 2 ? text : text.slice(-MIN_CHARACTERS_TO_SHOW * 2)),
  ];
  if (characters.length < MIN_CHARACTERS_TO_SHOW || /^[\d\s.,+_eE-]+$/.test(text)) return "";
  const shown = characters.slice(-SHOWN_CHARACTERS).join("");
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(shown) ? "" : shown;
}

/** What stands in the place of `text`. */
export function markerFor(text: string): string {
  const shown = shownOf(text);
  return shown === "" ? PLAIN_MARKER : markerShowing(shown);
}
