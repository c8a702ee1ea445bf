// The grammar of PEP 508, with the versions of PEP 440. Each part is tried at one position only, so that no
// input makes matching slow.
const SPACE = "[ \\t]*";
const NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const EXTRAS = `\\[${SPACE}(?:${NAME}${SPACE}(?:,${SPACE}${NAME}${SPACE})*)?\\]`;
const RELEASE = "v?(?:\\d+!)?\\d+(?:\\.\\d+)*";
const PRE = "(?:[._-]?(?:alpha|a|beta|b|preview|pre|c|rc)[._-]?\\d*)?";
const POST = "(?:-\\d+|[._-]?(?:post|rev|r)[._-]?\\d*)?";
const DEV = "(?:[._-]?dev[._-]?\\d*)?";
const LOCAL = "(?:\\+[a-z0-9]+(?:[._-][a-z0-9]+)*)?";
const ANY_VERSION = `${RELEASE}${PRE}${POST}${DEV}`;
const SPECIFIER = [
  `===${SPACE}[^\\s;,)]+`,
  `(?:==|!=)${SPACE}(?:${RELEASE}${PRE}${POST}\\.\\*|${ANY_VERSION}${LOCAL})`,
  `~=${SPACE}v?(?:\\d+!)?\\d+(?:\\.\\d+)+${PRE}${POST}${DEV}`,
  `(?:<=|>=|<(?!=)|>(?!=))${SPACE}${ANY_VERSION}`,
].join("|");
const SPECIFIERS = `(?:${SPECIFIER})${SPACE}(?:,${SPACE}(?:${SPECIFIER})${SPACE})*`;
const VERSIONS = `(?:\\(${SPACE}(?:${SPECIFIERS})?\\)|${SPECIFIERS})`;
const REQUIREMENT = new RegExp(
  `^${SPACE}${NAME}${SPACE}(?:${EXTRAS})?${SPACE}(?:@${SPACE}(?<url>\\S+)|(?:${VERSIONS})?${SPACE}(?:;(?<marker>.*))?)`,
  "i",
);
const MARKER_WORD =
  /[ \t]*(?:(?<value>"[^"]*"|'[^']*'|(?:python_version|python_full_version|os[._]name|sys[._]platform|platform_(?:release|system|version|machine|python_implementation)|platform\.(?:version|machine|python_implementation)|python_implementation|implementation_(?:name|version)|extras?|dependency_groups)\b)|(?<not>not[ \t]+in\b)|(?<operator><=|>=|!=|===|==|~=|<|>|in\b)|(?<join>and\b|or\b)|(?<open>\()|(?<close>\)))[ \t]*/y;

/** Whether `text` is a requirement as PEP 508 writes it, such as `pandas[excel]>=3,<4` or `name @ https://host/file.whl`. */
export function isRequirement(text: string): boolean {
  const match = REQUIREMENT.exec(text);
  if (!match) return false;
  const rest = text.slice(match[0].length).trim();
  const { url, marker } = match.groups ?? {};
  if (url === undefined) return rest === "" && (marker === undefined || isMarker(marker));
  return URL.canParse(url) && (rest === "" || (rest.startsWith(";") && isMarker(rest.slice(1))));
}

/** The URL of a requirement such as `name @ https://host/file.whl`, as it is written; undefined for one without. */
export function requirementUrl(requirement: string): string | undefined {
  return REQUIREMENT.exec(requirement)?.groups?.url;
}

/** Whether `text` is a condition such as `python_version < "3.13" and sys_platform == "linux"`. */
function isMarker(text: string): boolean {
  let depth = 0;
  let expected: "value" | "operator" | "right" | "join" = "value";
  let position = 0;
  while (position < text.trimEnd().length) {
    MARKER_WORD.lastIndex = position;
    const word = MARKER_WORD.exec(text)?.groups;
    if (!word) return false;
    position = MARKER_WORD.lastIndex;
    if (word.open && expected === "value") depth++;
    else if (word.close && expected === "join" && depth > 0) depth--;
    else if (word.value && expected === "value") expected = "operator";
    else if (word.value && expected === "right") expected = "join";
    else if ((word.operator || word.not) && expected === "operator") expected = "right";
    else if (word.join && expected === "join") expected = "value";
    else return false;
  }
  return expected === "join" && depth === 0;
}
