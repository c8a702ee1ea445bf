const SHOWN_CHARACTERS = 4;
/** The most bytes of a secret that its marker shows, as UTF-8. */
export const MAX_SHOWN_BYTES = SHOWN_CHARACTERS * 4;
/**
 * Characters of the shortest secret whose marker shows its last four characters, because four are then less
 * than a quarter of the secret.
 */
const MIN_CHARACTERS_TO_SHOW = 17;

/** The marker that shows no characters of the secret. */
export const PLAIN_MARKER = "[REDACTED]";

/** The marker of a secret that shows the secret's last characters, `last`. */
export function markerShowing(last: string): string {
  return `[REDACTED...${last}]`;
}

/**
 * The last four characters of `text`, which its marker shows. Empty for a text of fewer than 17 characters,
 * for a number, and when the characters cannot be printed.
 */
export function shownOf(text: string): string {
  // Only the end of a long text is split into characters, each of which has one or two UTF-16 units.
  const characters = [
    ...(text.length < MIN_CHARACTERS_TO_SHOW * 2 ? text : text.slice(-MIN_CHARACTERS_TO_SHOW * 2)),
  ];
  if (characters.length < MIN_CHARACTERS_TO_SHOW || /^[\d\s.,+_eE-]+$/.test(text)) return "";
  const shown = characters.slice(-SHOWN_CHARACTERS).join("");
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(shown) ? "" : shown;
}

/** The marker that replaces the secret `text`, with its last four characters if they may be shown. */
export function markerFor(text: string): string {
  const shown = shownOf(text);
  return shown === "" ? PLAIN_MARKER : markerShowing(shown);
}
