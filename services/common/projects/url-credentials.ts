import { requirementUrl } from "./requirement.ts";

// User and password of a URL, up to the authority's last @, because a password may itself have an unencoded
// @, quotes and brackets.
const USER_INFO = /\/\/[^/?#\s]*@/g;
const QUERY = /(\/\/[^\s?#]+)\?[^\s#]*/g;

/**
 * Removes from the URLs in `text` everything that may be meant for their host only: user and password, and
 * the query, which has the signature of signed URLs. A fragment stays, because it has the hash or the
 * subdirectory of a package.
 */
export function withoutUrlCredentials(text: string): string {
  return text.replaceAll(USER_INFO, "//****@").replaceAll(QUERY, "$1?****");
}

/**
 * A project's package requirement without the credentials of its URL. The URL is read by the same parser that
 * accepted it in the project file.
 */
export function shownRequirement(requirement: string): string {
  const url = requirementUrl(requirement);
  return url === undefined ? requirement : requirement.replace(url, () => shownUrl(url));
}

function shownUrl(text: string): string {
  const url = URL.parse(text);
  if (!url) return "****";
  // In a URL without a host, the user and password may stand in the path, so only the protocol is shown.
  if (url.host === "" && !url.protocol.endsWith("file:")) return `${url.protocol}****`;
  if (url.username === "" && url.password === "" && url.search === "") return text;
  if (url.username !== "" || url.password !== "") url.username = "****";
  url.password = "";
  if (url.search !== "") url.search = "****";
  return url.href;
}

/**
 * The last `maxCharacters` characters of a program's output, or fewer. A word whose beginning is cut off is
 * removed, because the word could be the password of a URL.
 */
export function endOfText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  return text.slice(-maxCharacters).replace(/^\S+/, "");
}
