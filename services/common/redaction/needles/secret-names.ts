import { isWrittenName } from "./words.ts";

/** Names under which a value is secret, whatever the value looks like. */
export const SECRET_NAME =
  /key(?!board|word|space|pad|stroke)|token|secret|pass(?!ive|port|enger|ed|ing|age|through)|pwd|phrase|mnemonic|credential|signature|auth(?!or(?!i[sz]))|(?<![a-z])(?:pw|pin|psk|pat|sig|seed)(?![a-z])/i;

/**
 * Names under which even a word is secret. Under other names, such as `auth` and `key`, a word is a setting:
 * `"auth": "service_account"`.
 */
const PASSWORD_NAME =
  /pass(?!ive|port|enger|ed|ing|age|through)|pwd|secret|token|phrase|mnemonic|(?:api|access|account|private|signing|encryption|master)[_. -]?key|(?<![a-z])(?:pw|pin|psk|pat|seed)(?![a-z])/i;

/** Endings of names that describe a secret and do not hold one: `token_type`, `password_file`. */
const SETTING_NAME =
  /(?:type|kind|ur[il]|name|method|mode|provider|scheme|alg|algorithm|user|file|path|host|endpoint|format|version|issuer|store|policy|plugin|backend|server|class|module|scope|audience|realm|strategy|enabled|required|id)s?$/i;

/** Names whose number describes a secret and is none: `token_ttl`, `password_expiry`, `max_tokens`. */
const NUMBER_SETTING =
  /(?:ttl|timeout|expir\w*|size|length|len|count|limit|lifetime|validity|interval|iterations|retries|seconds?|minutes?|hours?|days?)$|(?:^|[_. -])(?:max|min|age|port|bits?|rounds|cost|secs?|mins?|ms|at|date|time|in)$|(?:^|[_. -])(?:max|min|total|prompt|completion|input|output|context|used|remaining)[a-z_. -]*tokens$/i;

/** Whether a number under this name is a secret. */
export function namesSecretNumber(name: string): boolean {
  return namesPassword(name) && !NUMBER_SETTING.test(name);
}

/**
 * Whether a number under this name is known to be no secret, such as the number of `created_ms` or `account`.
 * False for an empty name.
 */
function namesHarmlessNumber(name: string): boolean {
  return name !== "" && (!SECRET_NAME.test(name) || SETTING_NAME.test(name) || NUMBER_SETTING.test(name));
}

/** Words, such as `none` and `bearer`, that stand under the name of a secret when no secret is given. */
const PLACEHOLDER_WORD =
  /^(?:true|false|null|none|undefined|enabled?|disabled?|required?|optional|default|bearer|basic|digest|negotiate|apikey|token|password|secret)$/i;

/** Whether a word under this name is a secret rather than a setting. */
export function namesPassword(name: string): boolean {
  return PASSWORD_NAME.test(name) && !SETTING_NAME.test(name);
}

/**
 * Whether a text is a word that stands under the name of a secret when no secret is given, such as `bearer`.
 */
export function isPlaceholderWord(text: string): boolean {
  return PLACEHOLDER_WORD.test(text);
}

/**
 * Names of settings whose values are common in output that has nothing to do with a secret:
 * `universe_domain`, `region`, `start_date`.
 */
const COMMON_SETTING =
  /(?:^|[_. -])(?:domain|region|zone|location|country|locale|lang(?:uage)?|currency|date|time|timezone|tz|env(?:ironment)?|stage|project(?:_?id)?)$/i;

/**
 * Whether this is the name of a setting, such as `region`, whose values are common in output and no secret.
 */
export function namesCommonSetting(name: string): boolean {
  return COMMON_SETTING.test(name);
}

/** Names of settings whose values are names: of databases, buckets, users, columns of a table. */
const NAME_SETTING =
  /(?:(?:^|[_. -])(?:db|table|index|topic|queue|owner|label|title|user|uid|app|service|cluster)|database|catalog|schema|bucket|keyspace|keyboard|namespace|author|description|username|dbname|(?:primary|foreign|sort|partition|range|row|shard(?:ing)?|clustering|surrogate|unique)[_. -]?key)(?:[_. -]?name)?$/i;

/**
 * Whether a text under this name is the name of something, such as a database or a column, as people write
 * it: `primary_key: customer_id_2024`. A random key under `primary_key` is none.
 */
function givesName(name: string, text: string): boolean {
  return NAME_SETTING.test(name) && isWrittenName(text);
}

/**
 * The reason why a text inside a secret value is searched for as a part of the secret, or is not:
 *
 * - `field`: any text in the secret, except words, hosts, dates and media types.
 * - `setting`: the text's name says that it is no secret, so it is not searched for.
 * - `number`: a number or a date whose name says that it is no secret, so neither it nor a piece of it is
 * searched for.
 * - `named`: the text's name says that it is a secret, so fewer characters suffice.
 * - `password`: like `named`, but may be a word.
 * - `same`: the whole value, written otherwise; may be a word.
 */
export type Role = "field" | "setting" | "number" | "named" | "password" | "same";

/**
 * The role of `text` under this name; an empty name means that the text has none. A number or a date is
 * secret only under the name of a password, because most numbers are times, sizes or amounts.
 */
export function roleOf(name: string, text: string): Role {
  if (/^[+-]?\d[\d.,_' ]*(?:e[+-]?\d+)?$/i.test(text) || isDate(text)) {
    if (namesSecretNumber(name)) return "password";
    return namesHarmlessNumber(name) ? "number" : "setting";
  }
  if (namesPassword(name)) return "password";
  if (givesName(name, text)) return "setting";
  if (SECRET_NAME.test(name)) return "named";
  return namesCommonSetting(name) ? "setting" : "field";
}

/** Whether a text is a date or a time, whole or cut off where a run of Base64 characters ends: `2026-11-30T12`. */
export function isDate(text: string): boolean {
  return /^\d{4}-\d{1,2}-\d{1,2}(?:[T _][\d:., +Z-]*)?$|^\d{8}T\d{2,6}Z?$/.test(text);
}
