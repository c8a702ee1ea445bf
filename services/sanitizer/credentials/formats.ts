import type { Trigger } from "#common/redaction/automaton/automaton.ts";
import type { RuleName } from "./rules.ts";
import type { Segment } from "./shape.ts";

/**
 * The outer form of the credentials that one rule of secretlint knows. A byte-by-byte comparison with the
 * form is fast, and finds the few texts about which the slow rule must be asked. A text that a format refuses
 * is refused by its rule as well, except for the cases in docs/decisions/0006.
 */
export type Format = Form & (Judged | Unjudged);

type Judged = {
  readonly rule: RuleName;
  /**
   * True when a text of this form is a credential without asking the rule; undefined when the rule decides.
   */
  readonly isUnjudged?: true;
};

/** A form of Airlock's own, which secretlint has no rule for. */
type Unjudged = { readonly rule: "airlock"; readonly isUnjudged: true };

type Form = {
  /** The texts that the credential begins with. */
  readonly triggers: readonly string[];
  readonly shape: readonly Segment[];
  /**
   * True: the whole credential with its trigger is redacted, and it counts only where no letter, digit, `_`
   * or `-` stands before it. False: only the segments marked `secret` are redacted.
   */
  readonly isToken: boolean;
  /**
   * A pattern that the text before the trigger must match, of which up to CONTEXT_BYTES are compared;
   * undefined allows any text.
   */
  readonly after?: RegExp;
};

/** Bytes of text that are checked before a trigger; no rule looks further back. */
export const CONTEXT_BYTES = 16;

const ALNUM = bytesOf(/[A-Za-z0-9]/);
const WORD = bytesOf(/[A-Za-z0-9_]/);
/** A table with 1 for each byte that tokens consist of: letters, digits, `_` and `-`. */
export const WORD_AND_HYPHEN = bytesOf(/[A-Za-z0-9_-]/);
const HEX = bytesOf(/[A-Fa-f0-9]/);
const BASE64 = bytesOf(/[A-Za-z0-9+/=]/);

/**
 * For each byte, 1 if a user name in a URL may contain it: all bytes except those that end the name, the
 * URL's authority, or the quotes around the URL.
 */
const USER = bytesOf(/[^\s/?#"'<>\\:@]/);
/** For each byte, 1 if a password in a URL may contain it: the same bytes as in a user name, and colons. */
const PASSWORD = bytesOf(/[^\s/?#"'<>\\@]/);

const KEY_BEGINNINGS = ["", " "].flatMap((space) =>
  ["", "RSA ", "DSA ", "EC ", "OPENSSH ", "PGP ", "ENCRYPTED "].flatMap((kind) =>
    ["", " BLOCK"].map((block) => `-----BEGIN${space}${kind}PRIVATE KEY${block}-----`),
  ),
);

type Extra = Partial<Pick<Segment, "longer" | "secret">> & { readonly opens?: string };

function run(bytes: Uint8Array, min: number, max = min, extra: Extra = {}): Segment {
  const { opens, longer = "refused", secret = false } = extra;
  return { bytes, min, max, longer, secret, ...(opens ? { opens: opens.charCodeAt(0) } : {}) };
}

function token(rule: RuleName, triggers: readonly string[], ...shape: Segment[]): Format {
  return { rule, triggers, shape, isToken: true };
}

export const FORMATS: readonly Format[] = [
  token("1password", ["ops_"], run(BASE64, 104, 1_286)),
  {
    rule: "airlock",
    triggers: ["alk_"],
    isToken: true,
    isUnjudged: true,
    // services/common/identity/api-key.ts makes such keys.
    shape: [run(bytesOf(/[a-z0-9]/), 16), run(ALNUM, 43, 43, { opens: "_" })],
  },
  token("anthropic", ["sk-ant-api0"], run(WORD_AND_HYPHEN, 94, 132)),
  // The rule `aws` knows more prefixes of ids. Only these two begin the ids of access keys.
  token("aws", ["AKIA", "ASIA"], run(bytesOf(/[A-Z0-9]/), 16)),
  {
    rule: "aws",
    triggers: ["ACCESS", "access", "Access"].flatMap((access) =>
      ["KEY", "key", "Key"].flatMap((key) => [`${access}${key}`, `${access}_${key}`]),
    ),
    after: /(?:SECRET|secret|Secret)_?$/,
    isToken: false,
    shape: [run(bytesOf(/[\s:=>"']/), 1, 64), run(BASE64, 40, 42, { longer: "cut", secret: true })],
  },
  {
    rule: "basicauth",
    triggers: ["://"],
    // Database URLs are left to the rule `database-connection-string`, because that rule distinguishes
    // passwords from words such as `root`.
    after: /(?<!mongodb(?:\+srv)?|mysqlx?|postgres(?:ql)?)(?<=[a-z0-9])$/i,
    isToken: false,
    isUnjudged: true,
    shape: [
      run(USER, 0, 256),
      run(PASSWORD, 1, 600, { opens: ":", secret: true }),
      run(bytesOf(/[^\s/?#"'<>@]/), 1, 1, { opens: "@", longer: "cut" }),
    ],
  },
  token("cloudflare", ["cfk_", "cfut_", "cfat_"], run(ALNUM, 48)),
  {
    rule: "database-connection-string",
    triggers: ["://"],
    after: /(?:mongodb(?:\+srv)?|mysqlx?|postgres(?:ql)?)$/i,
    isToken: false,
    // The limits are 300 and 600 bytes, because the rule allows 100 and 200 UTF-16 units of any script, each
    // of up to three bytes.
    shape: [
      run(bytesOf(/[^:/\s]/), 1, 300),
      run(bytesOf(/[^@/\s]/), 1, 600, { opens: ":", secret: true }),
      run(bytesOf(/[^/\s?]/), 1, 1, { opens: "@", longer: "cut" }),
    ],
  },
  token("databricks", ["dapi"], run(HEX, 32)),
  token("databricks", ["dapi"], run(HEX, 32), run(bytesOf(/[0-9]/), 1, 1, { opens: "-" })),
  token("docker", ["dckr_pat_"], run(WORD_AND_HYPHEN, 27)),
  token("figma", ["figd_"], run(WORD_AND_HYPHEN, 40, 200)),
  token("github", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], run(WORD, 36)),
  token("github", ["github_pat_"], run(WORD, 82)),
  token(
    "github",
    ["ghs_"],
    run(bytesOf(/[0-9]/), 1, 20),
    // These three runs are the parts of a JSON Web Token.
    run(WORD_AND_HYPHEN, 10, 1_000, { opens: "_" }),
    run(WORD_AND_HYPHEN, 10, 10_000, { opens: "." }),
    run(WORD_AND_HYPHEN, 10, 1_000, { opens: "." }),
  ),
  token("gitlab", ["glpat-"], run(WORD_AND_HYPHEN, 20, 128)),
  token("grafana", ["glc_"], run(BASE64, 32, 402)),
  token("grafana", ["glsa_"], run(ALNUM, 32), run(HEX, 8, 8, { opens: "_" })),
  token("groq", ["gsk_"], run(ALNUM, 52)),
  token("hashicorp-vault", ["hvs.", "hvr."], run(WORD_AND_HYPHEN, 90, 120)),
  token("hashicorp-vault", ["hvb."], run(WORD_AND_HYPHEN, 138, 300)),
  token("huggingface", ["hf_"], run(bytesOf(/[A-Za-z]/), 34)),
  token("linear", ["lin_api_"], run(WORD, 32, 128)),
  token("notion", ["ntn_"], run(ALNUM, 46)),
  token("npm", ["npm_"], run(WORD, 36)),
  token(
    "openai",
    ["sk-proj-", "sk-svcacct-", "sk-admin-"],
    run(WORD_AND_HYPHEN, 124, 156, { longer: "cut" }),
  ),
  token("openai", ["sk-"], run(ALNUM, 48, 48, { longer: "cut" })),
  {
    rule: "privatekey",
    triggers: KEY_BEGINNINGS,
    isToken: false,
    shape: [
      run(bytesOf(/[A-Za-z0-9+/=\s\\]/), 100, 10_002, { longer: "overlong", secret: true }),
      run(bytesOf(/[-A-Z ]/), 23, 38, { opens: "-", longer: "cut" }),
    ],
  },
  {
    // A private key whose lines are written as in lists, logs and JSON within JSON, with any characters
    // except hyphens between the lines. The first line must be Base64, so that prose about keys is not held
    // back.
    rule: "privatekey",
    triggers: KEY_BEGINNINGS,
    isToken: false,
    isUnjudged: true,
    shape: [
      run(bytesOf(/[\s\\nr"',<>/b|]/), 1, 24, { secret: true }),
      run(BASE64, 40, 100, { secret: true }),
      run(bytesOf(/[^-]/), 20, 9_900, { secret: true }),
      run(bytesOf(/[-A-Z ]/), 23, 38, { opens: "-", longer: "cut" }),
    ],
  },
  token("sendgrid", ["SG."], run(WORD, 22), run(WORD_AND_HYPHEN, 43, 44, { opens: ".", longer: "cut" })),
  token("shopify", ["shppa_", "shpca_", "shpat_", "shpss_"], run(ALNUM, 32, 64)),
  // Tokens with fewer than 24 characters after the prefix, and the other prefixes that the rule `slack`
  // knows, are left out, because they could be words with hyphens.
  token(
    "slack",
    ["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xapp-1-"],
    run(bytesOf(/[A-Za-z0-9-]/), 24, 1_024, { longer: "cut" }),
  ),
  {
    rule: "slack",
    triggers: ["://hooks.slack.com/services/"],
    after: /https$/,
    isToken: false,
    shape: [
      run(ALNUM, 2, 41),
      run(ALNUM, 2, 41, { opens: "/" }),
      run(ALNUM, 1, 40, { opens: "/", longer: "cut", secret: true }),
    ],
  },
  token("stripe", ["sk_live_", "sk_test_", "rk_live_", "rk_test_"], run(ALNUM, 24, 99)),
  token(
    "tailscale",
    ["tskey-"],
    run(bytesOf(/[a-z]/), 2, 20),
    run(WORD, 8, 40, { opens: "-" }),
    run(WORD, 16, 60, { opens: "-" }),
  ),
  token("vercel", ["vcp_", "vci_", "vca_", "vcr_", "vck_"], run(ALNUM, 20, 60)),
];

const TEXTS = [...new Set(FORMATS.flatMap(({ triggers }) => triggers))];

/** For each trigger, by its index, the formats of credentials that begin with it. */
export const FORMATS_OF: readonly (readonly Format[])[] = TEXTS.map((text) =>
  FORMATS.filter(({ triggers }) => triggers.includes(text)),
);

/**
 * All triggers, each once. `held` is true when the trigger itself belongs to the credential and is redacted
 * with it, so that its bytes must be held back.
 */
export const TRIGGERS: readonly Trigger[] = TEXTS.map((text, index) => ({
  bytes: Buffer.from(text),
  held: FORMATS_OF[index]?.some(({ isToken }) => isToken) === true,
}));

/** The number of bytes of the longest trigger. */
export const LONGEST_TRIGGER = Math.max(...TEXTS.map((text) => text.length));

/**
 * A table with 1 for each byte that matches the character class. Bytes beyond ASCII match every class that
 * excludes characters (`[^…]`), because only the rule decides which characters they make.
 */
function bytesOf(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const character = byte < 0x80 ? String.fromCharCode(byte) : "\ufffd";
    return characters.test(character) ? 1 : 0;
  });
}
