import type { SecretLintRuleContext, SecretLintRuleCreator, SecretLintSourceCode } from "@secretlint/types";
import { outputWithheld } from "../output-withheld.ts";

const PREFIX = "@secretlint/secretlint-rule-";

/**
 * The secretlint rules in use, with options that differ from the rule's defaults. docs/decisions/0006 says
 * why other rules are left out.
 */
const OPTIONS = {
  "1password": {},
  anthropic: {},
  // This option makes the rule report ids of access keys. The rule then reports account ids as well, which
  // IGNORED drops.
  aws: { enableIDScanRule: true },
  basicauth: {},
  cloudflare: {},
  "database-connection-string": {},
  databricks: {},
  docker: {},
  figma: {},
  github: {},
  gitlab: {},
  grafana: {},
  groq: {},
  "hashicorp-vault": {},
  huggingface: {},
  linear: {},
  notion: {},
  // Names of environment variables that npm sets are no credentials, although some are as long as a token.
  npm: { allows: ["/^npm_(?:config|package|lifecycle|node)_/"] },
  openai: {},
  privatekey: {},
  sendgrid: {},
  shopify: {},
  slack: {},
  stripe: {},
  tailscale: {},
  vercel: {},
} as const;

/**
 * Ids of secretlint's messages that are dropped. An AWS account id is any twelve digits after the word
 * "account": ordinary data, no secret.
 */
const IGNORED: readonly string[] = ["AWSAccountID"];

export type RuleName = keyof typeof OPTIONS;

/** Start and end of a report in the text, in UTF-16 units. */
export type Range = readonly [start: number, end: number];

/** Asks one rule about a text; returns the ranges that it reports. */
export type Judge = (rule: RuleName, text: string) => readonly Range[];

let loading: Promise<Judge> | undefined;

/**
 * Loads secretlint's rules at the first call, and returns the same rules after that. Rejects with
 * `output_withheld` when the rules cannot be loaded; the next call then tries again.
 */
export function loadRules(): Promise<Judge> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined;
    throw outputWithheld("the rules for unknown credentials could not be loaded", cause);
  });
  return loading;
}

async function load(): Promise<Judge> {
  const { creator } = await import("@secretlint/secretlint-rule-preset-recommend");
  const scanners = Object.entries(OPTIONS).map(([name, options]) => {
    const rule = creator.rules.find(({ meta }) => meta.id === PREFIX + name);
    if (!rule) throw new Error(`secretlint has no rule ${PREFIX}${name}`);
    const scan = scannerOf(rule, options);
    scan("");
    return [name, scan];
  });
  const scannerFor: Record<RuleName, Scan> = Object.fromEntries(scanners);
  return (rule, text) => scannerFor[rule](text);
}

type Scan = (text: string) => readonly Range[];

/**
 * Makes a function that runs one rule without secretlint's engine, because the engine takes a hundred times
 * as long and obeys comments in the text that switch rules off. The text of the rule's messages is never
 * made, because it quotes the credential.
 */
function scannerOf(rule: SecretLintRuleCreator<unknown>, options: object): Scan {
  let found: Range[] = [];
  const context: SecretLintRuleContext = {
    sharedOptions: {},
    createTranslator: () => (messageId) => ({ message: "", messageId: String(messageId), data: undefined }),
    report({ message, range }) {
      if (!IGNORED.includes(message.messageId)) found.push(range);
    },
    ignore() {},
  };
  const handler = rule.create(context, options);
  return (text) => {
    found = [];
    // The rules in OPTIONS read only `content`. The path is undefined, because with a path some rules would
    // open files.
    const source = { content: text, filePath: undefined, ext: "" };
    const later = handler.file?.(source as unknown as SecretLintSourceCode);
    if (later) throw new Error(`secretlint's rule ${rule.meta.id} does not answer at once`);
    return found;
  };
}
