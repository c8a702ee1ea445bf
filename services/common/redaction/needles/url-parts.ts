/** Where a URL may be in a text. Schemes are short, so that the search takes linear time. */
const URLS = /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,63}:\/\/\S+/gi;

/** All URLs of a text, each also without what stands behind a quote or a bracket. */
export function urlsIn(text: string): string[] {
  const found = new Set<string>();
  for (const [url] of text.matchAll(URLS)) {
    found.add(url);
    // A list of URLs, as for the servers of a cluster.
    for (const each of url.split(/,(?=[a-z][a-z0-9+.-]{0,63}:\/\/)/i)) found.add(each);
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

const MIN_CUT_CHARACTERS = 8;
const MAX_CUT_CHARACTERS = 128;

/**
 * What readers of URLs make of a password with their signs in it: they take what is before or behind one for a host, a port
 * or a path, and name it in their errors. Only what looks like a password.
 */
export function cutsOf(password: string): string[] {
  // Of a path, a URL, a text or a key in Base64 each part may be known to everybody, or is found by its pieces.
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
