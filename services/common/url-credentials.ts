// Up to the last @ of the authority: a password may hold one that nobody encoded.
const USER_INFO = /\/\/[^/?#\s"'<>]*@/g;
const QUERY = /(\/\/[^\s?#"'<>]+)\?[^\s#"'<>]*/g;

/**
 * `text` without what its URLs may hold for their host only: user and password, and the query, where signed URLs have their
 * signature. A fragment stays, as it has the hash or the subdirectory of a package.
 */
export function withoutUrlCredentials(text: string): string {
  return text.replaceAll(USER_INFO, "//****@").replaceAll(QUERY, "$1?****");
}

/**
 * The end of what a program printed, at most `maxCharacters` of it. A word that is cut at the beginning is left out: it
 * could be the password of a URL whose beginning is gone.
 */
export function endOfText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  return text.slice(-maxCharacters).replace(/^\S+/, "");
}
