/** Where a URL may be in a text. */
const URLS = /[a-z][a-z0-9+.-]*:\/\/\S+/gi;

/** All URLs of a text, each also without what stands behind a quote or a bracket. */
export function urlsIn(text: string): string[] {
  const found = new Set<string>();
  for (const [url] of text.matchAll(URLS)) {
    found.add(url);
    found.add(url.replace(/["'<>`].*$/, ""));
  }
  return [...found];
}

type UserInfo = { readonly user: string; readonly password: string };

/**
 * The user and the password of a URL. Readers take the password up to the first `@`, or up to the last, with slashes in it
 * or without.
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
    // `https://host:8080/path?mail=a@b` has no user.
    if (/[/?#]/.test(user) || /^\d{1,5}[/?#]/.test(password)) continue;
    infos.set(info, { user, password });
  }
  return [...infos.values()];
}

/** What a query gives names, of a URL or alone. */
export function* queryOf(text: string): Iterable<readonly [name: string, value: string]> {
  for (const [, name = "", value = ""] of text.matchAll(/[?&;]([^=&;#\s?]+)=([^&;#\s]+)/g))
    yield [name, value];
}

/** A text without its percent escapes. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign: it was not encoded.
    return text;
  }
}
