import { requirementUrl } from "./requirement.ts";

// Up to the last @ of the authority: a password may hold one that nobody encoded, and quotes and brackets.
const USER_INFO = /\/\/[^/?#\s]*@/g;
const QUERY = /(\/\/[^\s?#]+)\?[^\s#]*/g;

/**
 * `text` without what its URLs may hold for their host only: user and password, and the query, where signed URLs have their
 * signature. A fragment stays, as it has the hash or the subdirectory of a package.
 */
export function withoutUrlCredentials(text: string): string {
  return text.replaceAll(USER_INFO, "//****@").replaceAll(QUERY, "$1?****");
}

/** A package of a project file without the credentials of its URL, as the parser that took the URL reads them. */
export function shownRequirement(requirement: string): string {
  const url = requirementUrl(requirement);
  return url === undefined ? requirement : requirement.replace(url, () => shownUrl(url));
}

function shownUrl(text: string): string {
  const url = URL.parse(text);
  if (!url) return "****";
  // Where the parser sees no host, a user may stand in the path.
  if (url.host === "" && !url.protocol.endsWith("file:")) return `${url.protocol}****`;
  if (url.username === "" && url.password === "" && url.search === "") return text;
  if (url.username !== "" || url.password !== "") url.username = "****";
  url.password = "";
  if (url.search !== "") url.search = "****";
  return url.href;
}

/**
 * The end of what a program printed, at most `maxCharacters` of it. A word that is cut at the beginning is left out: it
 * could be the password of a URL whose beginning is gone.
 */
export function endOfText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  return text.slice(-maxCharacters).replace(/^\S+/, "");
}
