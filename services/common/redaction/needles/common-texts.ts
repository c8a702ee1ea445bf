import { MIN_PIECE_CHARACTERS } from "./padding.ts";
import { isWrittenName } from "./words.ts";

/**
 * Patterns of texts in a secret value that are common in output that has nothing to do with the secret, and
 * so are not searched for.
 */
const COMMON: readonly RegExp[] = [
  // Common texts: hosts, whose labels have one case each, and addresses, with a port or without.
  /^(?:tcp:)?(?:(?:[a-z0-9-]+|[A-Z0-9-]+)\.)+(?:[a-z]{2,}|[A-Z]{2,})(?:[:,]\d{1,5})?$/,
  /^(?:tcp:)?\d{1,3}(?:\.\d{1,3}){3}(?:[:,/]\d{1,5})?$/,
  /^\[?[\da-f:]*::[\da-f:.]*\]?(?::\d{1,5}|\/\d{1,3})?$/i,
  // Common texts: dates.
  /^\d{1,4}([-./])\d{1,2}\1\d{1,4}(?:[T ,][\d:., +Z-]*)?$/,
  /^\d{8}T?\d{0,6}Z?$|^\d{4}[-/]\d{2,4}$/,
  // Common texts: media types, and names such as `eu-north-1`.
  /^[a-z]+\/[a-z0-9.+-]+$/,
  /^[a-z]+(?:[-_][a-z]+)+[-_]\d{1,2}$/,
];

/** Names of several words with a year, such as `acme-prod-reports-2024`. */
const NAME_WITH_YEAR = /^[a-z]+(?:[-_][a-z]+)+[-_](?:19|20)\d{2}$/;

/** Whether a text is common in output that has nothing to do with the secret. */
export function isCommon(text: string): boolean {
  return COMMON.some((common) => common.test(text)) || (NAME_WITH_YEAR.test(text) && isWrittenName(text));
}

/**
 * Whether a text is a name of a project, a host or a time zone, as people write them. Such a name is not
 * redacted as a piece of the secret. Names of fewer than 13 characters are never redacted as pieces, so they
 * need no exception.
 */
export function isCommonName(text: string): boolean {
  const isName =
    /^[a-z0-9]+(?:[-_][a-z0-9]+)+$/.test(text) ||
    /^[a-z0-9-]+(?:\.[a-z0-9-]+){2,}$/.test(text) ||
    /^[A-Z][a-z]+(?:[/_-][A-Z][a-z]+)+$/.test(text);
  return isName && text.length >= MIN_PIECE_CHARACTERS;
}
