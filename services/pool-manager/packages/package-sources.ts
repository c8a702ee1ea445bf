import { requirementUrl } from "#common/projects/requirement.ts";
import { withoutUrlCredentials } from "#common/projects/url-credentials.ts";

const SOURCE_SETTING = /^(UV|PIP)_|_PROXY$/i;

/** Removes credentials from an installer's output, so that agents and logs may show it. */
export type ShowOutput = (text: string) => string;

/**
 * Returns a function that removes credentials from an installer's output: those in the URLs of `packages`,
 * and everything but the host of URLs in the installer's settings (`env`), because some indexes have a token
 * in the path.
 */
export function outputWithoutCredentials(packages: readonly string[], env: NodeJS.ProcessEnv): ShowOutput {
  const replacements = [...ofPackages(packages), ...ofSettings(env)].sort(([a], [b]) => b.length - a.length);
  return (text) => {
    let shown = text;
    for (const [written, replacement] of replacements) shown = shown.replaceAll(written, replacement);
    return withoutUrlCredentials(shown);
  };
}

type Replacement = readonly [written: string, shown: string];

function ofPackages(packages: readonly string[]): Replacement[] {
  return packages.flatMap((each) => userInfo(requirementUrl(each) ?? ""));
}

function ofSettings(env: NodeJS.ProcessEnv): Replacement[] {
  const values = Object.entries(env).flatMap(([name, value]) =>
    SOURCE_SETTING.test(name) ? [value ?? ""] : [],
  );
  // A setting may hold several URLs, separated by blanks or commas, and `UV_INDEX` takes `name=url`.
  const urls = values.flatMap((value) => value.split(/[\s,]+/)).map((each) => each.replace(/^[\w.-]+=/, ""));
  return urls.flatMap((url) => [...userInfo(url), ...path(url)]);
}

/**
 * Replacements for a URL's user and password, both as the setting has them and as the installer's URL parser
 * prints them.
 */
function userInfo(text: string): Replacement[] {
  const url = URL.parse(text);
  if (!url || (url.username === "" && url.password === "")) return [];
  const written = /^[^:]*:[\\/]*([^/\\?#]*)@/.exec(text)?.[1] ?? "";
  const forms = [written, `${url.username}:${url.password}`, url.username].filter((form) => form !== "");
  return forms.map((form) => [`${form}@`, "****@"] as const);
}

function path(text: string): Replacement[] {
  const url = URL.parse(text);
  const pathname = url?.pathname.replace(/\/+$/, "") ?? "";
  return url && url.host !== "" && pathname !== "" ? [[url.host + pathname, `${url.host}/****`]] : [];
}
