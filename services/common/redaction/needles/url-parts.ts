/** A pattern for URLs. The length of the scheme is limited, so that the search takes linear time. */
const URLS = /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,63}:\/\/\S+/gi;

/**
 * All URLs in a text. A URL with a quote or an angle bracket in it is also returned up to that character,
 * because the URL may end there.
 */
export function urlsIn(text: string): string[] {
  const found = new Set<string>();
  for (const [url] of text.matchAll(URLS)) {
    found.add(url);
    // A list of URLs with commas between them, such as the servers of a cluster, is also split.
    for (const each of url.split(/,(?=[a-z][a-z0-9+.-]{0,63}:\/\/)/i)) found.add(each);
    found.add(url.replace(/["'<>`].*$/, ""));
  }
  return [...found];
}

type UserInfo = { readonly user: string; readonly password: string };

/**
 * The possible users and passwords of a URL. URL parsers end the password at the first `@` or at the last
 * one, and some allow slashes in it.
 */
export function userInfosOf(url: string): UserInfo[] {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/(.*)$/is.exec(url)?.[1] ?? "";
  const ends = new Set([/^[^/?#@]*@/.exec(authority), /^[^/?#]*@/.exec(authority), /^.*@/s.exec(authority)]);
  const infos = new Map<string, UserInfo>();
  for (const match of ends) {
    const info = match?.[0].slice(0, -1);
    if (info === undefined || infos.has(info)) continue;
    const colon = info.indexOf(":");
    const user = colon < 0 ? info : info.slice(0, colon);
    const password = colon < 0 ? "" : info.slice(colon + 1);
    // A URL such as `https://host:8080/path?mail=a@b` has no user, so its `@` ends no password.
    if (/[/?#]/.test(user) || /^\d{1,5}[/?#]/.test(password)) continue;
    infos.set(info, { user, password });
  }
  return [...infos.values()];
}

/** The names and values in a query string, of a URL or by itself. */
export function* queryOf(text: string): Iterable<readonly [name: string, value: string]> {
  for (const [, name = "", value = ""] of text.matchAll(/[?&;]([^=&;#\s?]+)=([^&;#\s]+)/g))
    yield [name, value];
}

/** Decodes the percent escapes of a text. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // The text was not encoded, because it has a percent sign that begins no valid escape.
    return text;
  }
}

/** Characters of the shortest piece of a password that is searched for. */
const MIN_CUT_CHARACTERS = 8;
/** Characters of the longest password that is cut into pieces. */
const MAX_CUT_CHARACTERS = 128;

/**
 * Pieces of a password that contains URL delimiters. URL parsers take the text before or after a delimiter
 * for a host, a port or a path, and repeat it in their errors. Only pieces that look like a password are
 * returned.
 */
export function cutsOf(password: string): string[] {
  // No pieces are returned for paths, URLs, prose and Base64 keys, because their pieces may be publicly
  // known, or are found as pieces of a long secret.
  if (/\s|:\/\/|^[.~]{0,2}\/|^[\w+/-]{25,}={0,2}$/.test(password) || password.length > MAX_CUT_CHARACTERS)
    return [];
  const cuts = new Set(password.split(/[@/#?:]/));
  for (const { index } of password.matchAll(/[@/#?:]/g))
    cuts.add(password.slice(0, index)).add(password.slice(index + 1));
  return [...cuts].filter(
    (cut) =>
      cut !== password &&
      cut.length >= MIN_CUT_CHARACTERS &&
      /[A-Z0-9]/.test(cut) &&
      /[a-zA-Z]/.test(cut) &&
      !/^[A-Z]+$|^[A-Z]?[a-z]+$|^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:[:/].*)?$/.test(cut),
  );
}
