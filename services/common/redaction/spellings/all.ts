import { BASE64_SPELLINGS } from "./base64.ts";
import { HEX_SPELLINGS } from "./hex.ts";
import { HTML_SPELLINGS } from "./html.ts";
import { JSON_SPELLINGS } from "./json.ts";
import { PYTHON_SPELLINGS } from "./python.ts";
import type { Spelling } from "./spelling.ts";
import { URL_SPELLINGS } from "./url.ts";

/** Every spelling that is looked for; of two that agree on a text, the earlier decides how its marker is written. */
export const SPELLINGS: readonly Spelling[] = [
  { write: (text) => text, marksToo: true },
  ...JSON_SPELLINGS,
  ...PYTHON_SPELLINGS,
  ...HTML_SPELLINGS,
  ...URL_SPELLINGS,
  ...HEX_SPELLINGS,
  ...BASE64_SPELLINGS,
];
