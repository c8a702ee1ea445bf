import type { Trigger } from "#common/redaction/automaton/automaton.ts";
import type { RuleName } from "./rules.ts";
import type { Segment } from "./shape.ts";

/**
 * How the credentials of one rule look from outside: enough to tell, byte by byte, where one could be, so that the rule is
 * asked about little else. What a format refuses its rule refuses too, but for what docs/decisions/0006 lists.
 */
export type Format = {
  readonly rule: RuleName;
  /** What it begins with. */
  readonly triggers: readonly string[];
  readonly shape: readonly Segment[];
  /**
   * It must not leave as a whole, trigger included, and is looked at only where no letter, digit, `_` or `-` stands
   * before it. Of the others only the secret segment must not leave.
   */
  readonly isToken: boolean;
  /** It is one by its structure alone, so that no rule is asked. */
  readonly isUnjudged?: true;
  /** What must stand before the trigger; it sees up to `CONTEXT_BYTES`. */
  readonly after?: RegExp;
};

/** So many bytes before a trigger are looked at; none of the rules looks further back. */
export const CONTEXT_BYTES = 16;

const ALNUM = bytesOf(/[A-Za-z0-9]/);
const WORD = bytesOf(/[A-Za-z0-9_]/);
/** What tokens are made of. */
export const WORD_AND_HYPHEN = bytesOf(/[A-Za-z0-9_-]/);
const HEX = bytesOf(/[A-Fa-f0-9]/);
const BASE64 = bytesOf(/[A-Za-z0-9+/=]/);

/** What user and password of a URL may be made of: all but what ends its authority, or the quotes around it. */
const USER = bytesOf(/[^\s/?#"'<>\\:@]/);
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
  token("anthropic", ["sk-ant-api0"], run(WORD_AND_HYPHEN, 94, 132)),
  // Of the ids that the rule knows, these two belong to keys.
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
    // Of the databases that a rule knows, it tells passwords from words such as `root`.
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
    // The rule allows 100 and 200 UTF-16 units of any script.
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
    // The three parts of a JSON Web Token.
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
    // Its lines as lists, logs and JSON in JSON have them, with anything but a hyphen between them. The first line tells it
    // from prose, so that other text is not held back.
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
  // Shorter ones, and those of other kinds that the rule knows, are words with hyphens.
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

/** The formats that begin with each of the triggers. */
export const FORMATS_OF: readonly (readonly Format[])[] = TEXTS.map((text) =>
  FORMATS.filter(({ triggers }) => triggers.includes(text)),
);

/** All triggers, each once. */
export const TRIGGERS: readonly Trigger[] = TEXTS.map((text, index) => ({
  bytes: Buffer.from(text),
  held: FORMATS_OF[index]?.some(({ isToken }) => isToken) === true,
}));

export const LONGEST_TRIGGER = Math.max(...TEXTS.map((text) => text.length));

/** Bytes beyond ASCII are in the class if it is one of exclusion; which characters they make is for the rule to judge. */
function bytesOf(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const character = byte < 0x80 ? String.fromCharCode(byte) : "\ufffd";
    return characters.test(character) ? 1 : 0;
  });
}
